// The item-state editor on the Live tab: behind a key, with a reason, and with the log of all changes.

import * as api from "/static/api.js";
import { combobox } from "/static/combobox.js";
import { by, make, nameOf, readable } from "/static/dom.js";

const state = { item: null };
const form = by("state-form");
const field = (name) => form.elements.namedItem(name);
const minute = (moment) => `${moment.slice(0, 16).replace("T", " ")} UTC`;

const say = (words, wrong = false) => {
  by("state-words").textContent = words;
  by("state-words").classList.toggle("wrong", wrong);
};

async function guarded(work) {
  try {
    return await work();
  } catch (error) {
    if (!api.wasOvertaken(error)) say(error.message, true);
    return null;
  }
}

function inWords(found) {
  if (!found) return "as the catalogue says";
  const parts = [
    found.hidden && "hidden",
    found.available === true && "available",
    found.available === false && "not available",
    found.price != null && `price ${found.price}`,
    found.categories && `in ${found.categories.join(" | ")}`,
    found.boost != null && `score × ${found.boost}`,
    found.until && `until ${minute(found.until)}`,
  ].filter(Boolean);
  return parts.join(", ") || "as the catalogue says";
}

const logRow = (one) => make("li", { class: `move${one.after?.hidden ? " move-recall" : ""}` },
  make("p", { class: "attention-where" }, make("time", { datetime: one.at }, minute(one.at)), ` by ${one.by} · item ${one.item_id}`),
  make("p", {}, `${inWords(one.before)} → ${inWords(one.after)}`),
  one.why ? make("p", { class: "why" }, one.why) : null);

async function showLog() {
  const found = await guarded(() => api.stateLog(state.item?.item_id));
  if (!found) return;
  by("state-log-title").textContent = state.item ? `Log of ${nameOf(state.item)}` : "Log";
  by("state-log").replaceChildren(...(found.changes.length ? found.changes.map(logRow)
    : [make("li", { class: "muted" }, "No state has been changed.")]));
}

// Local time, as the field wants it.
const local = (moment) => {
  const date = new Date(moment);
  return new Date(date - date.getTimezoneOffset() * 60000).toISOString().slice(0, 16);
};

function fill(found) {
  field("hidden").checked = Boolean(found?.hidden);
  field("available").value = found?.available == null ? "" : String(found.available);
  field("price").value = found?.price ?? "";
  field("boost").value = found?.boost ?? "";
  field("categories").value = found?.categories?.join(" | ") ?? "";
  field("until").value = found?.until ? local(found.until) : "";
  field("why").value = "";
}

async function pick(item) {
  state.item = item;
  by("state-input").value = nameOf(item);
  const found = await guarded(() => api.itemState(item.item_id));
  form.hidden = !found;
  if (!found) return;
  by("state-item").textContent = `${nameOf(item)} (${item.item_id})`;
  fill(found.state);
  say(found.known ? `Now: ${inWords(found.state)}.` : `Now: ${inWords(found.state)}. The served release does not have this item.`);
  await showLog();
}

const wanted = () => {
  const numberOf = (name) => (field(name).value === "" ? null : Number(field(name).value));
  const categories = field("categories").value.split("|").map((one) => one.trim()).filter(Boolean);
  return {
    hidden: field("hidden").checked,
    available: field("available").value === "" ? null : field("available").value === "true",
    price: numberOf("price"),
    boost: numberOf("boost"),
    categories: categories.length ? categories : null,
    until: field("until").value ? new Date(field("until").value).toISOString() : null,
    why: field("why").value.trim(),
  };
};

async function change(make_change, done) {
  if (!field("why").value.trim()) {
    field("why").reportValidity();
    return;
  }
  const found = await guarded(make_change);
  if (!found) return;
  fill(found.state);
  say(`${done}: ${inWords(found.state)}.`);
  await showLog();
}

export async function showStates() {
  const known = api.hasKey();
  by("key-input").hidden = by("key-form").querySelector("button").hidden = known;
  by("key-forget").hidden = !known;
  by("state-editor").hidden = !known;
  if (known) await showLog();
}

by("key-form").addEventListener("submit", (event) => {
  event.preventDefault();
  api.useKey(by("key-input").value.trim());
  by("key-input").value = "";
  say("");
  showStates();
});
by("key-forget").addEventListener("click", () => {
  api.forgetKey();
  state.item = null;
  form.hidden = true;
  by("state-log").replaceChildren();
  showStates();
});
form.addEventListener("submit", (event) => {
  event.preventDefault();
  change(() => api.setItemState(state.item.item_id, wanted()), "Saved");
});
by("state-back").addEventListener("click", () =>
  change(() => api.takeBackState(state.item.item_id, field("why").value.trim()), "Taken back"));
combobox(by("state-input"), by("state-options"), {
  suggest: (text) => (text ? guarded(() => api.items(text).then((found) => found.items)) : Promise.resolve([])),
  show: (item) => [nameOf(item), make("small", {}, readable(item.category) || item.item_id)],
  choose: pick,
  free: (text) => pick({ item_id: text, title: null }),
});
