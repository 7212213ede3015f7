// The explorer page: a user or session, its history, its recommendations and their reasons.

import * as api from "/static/api.js";
import { ago, by, make, nameOf, readable } from "/static/dom.js";
import { combobox } from "/static/combobox.js";
import { leaveLive, showLive } from "/static/live.js";
import { showQuality } from "/static/quality.js";
import { showReleases } from "/static/releases.js";
import { explain as explainItem } from "/static/why.js";

const state = { mode: "user", user: null, session: [], like: null };
const settings = () => ({
  k: Number(by("k").value),
  category: by("category").value,
  seen: by("seen").checked,
  scenario: by("scenario").value,
  diversity: Number(by("diversity").value) < 0 ? undefined : Number(by("diversity").value) / 100,
});

function fail(error) {
  if (api.wasOvertaken(error)) return;
  by("failure").textContent = error.message;
  by("failure").hidden = false;
}

async function guarded(work) {
  try {
    const result = await work();
    by("failure").hidden = true;
    return result;
  } catch (error) {
    fail(error);
    return null;
  }
}

const reason = (item, answer) => {
  if (state.like) return ["similar to ", make("b", {}, nameOf(state.like))];
  const traced = answer.trace?.items.find((one) => one.item_id === item.item_id);
  if (traced?.reasons.length) return [traced.reasons[0].text];
  return [item.category ? `popular in ${readable(item.category)}` : "popular now"];
};

function card(item, place, answer, best) {
  const share = best > 0 ? Math.max(4, Math.round((100 * item.score) / best)) : 4;
  const meter = make("i");
  meter.style.width = `${share}%`;
  return make("li", { class: "card", "data-item": item.item_id },
    make("header", {},
      make("span", { class: "rank", "aria-label": `Rank ${place}` }, String(place)),
      make("span", { class: "category" }, readable(item.category) || ""),
      make("span", { class: "price" })),
    make("h3", {}, nameOf(item)),
    make("p", { class: "why" }, ...reason(item, answer)),
    make("div", { class: "meter", title: `score ${item.score}` }, meter),
    make("footer", {},
      make("button", { type: "button", class: "button", "aria-label": `Why ${nameOf(item)}?`, onclick: () => askWhy(item) }, "Why?"),
      make("button", { type: "button", class: "button", "aria-label": `Similar to ${nameOf(item)}`, onclick: () => showSimilar(item) }, "Similar"),
      make("button", { type: "button", class: "button", "aria-label": `Add ${nameOf(item)} to the session`, onclick: () => addToSession(item) }, "Add")));
}

async function fillPrices(answer) {
  if (!answer.items.length) return;
  try {
    const { rows } = await api.prices(answer.items.map((item) => item.item_id));
    for (const row of rows) {
      if (row?.price == null) continue;
      const place = by("cards").querySelector(`[data-item="${CSS.escape(row.item_id)}"] .price`);
      if (place) place.textContent = row.price < 0.01 ? "" : row.price.toFixed(2);
    }
  } catch (error) {
    fail(error);
  }
}

const WORDS = {
  user: ["From the user's own history", ""],
  session: ["From the items of the session", ""],
  cohort: ["Popular among such users", "fallback"],
  popular: ["Popular items", "fallback"],
  similar: ["Similar items", ""],
};

const askWhy = (item) => guarded(() => explainItem(item, {
  user: state.mode === "user" ? state.user : null,
  session: state.session.map((one) => one.item_id),
  wanted: settings(),
}));

function explain(answer) {
  const [words, kind] = WORDS[answer.source];
  const back = state.like && make("button", { type: "button", class: "button", onclick: () => { state.like = null; refresh(); } }, "Back");
  by("source").replaceChildren(make("span", { class: `badge ${kind}` }, words), answer.reason || "", ...(back ? [" ", back] : []));
}

function ask() {
  const wanted = settings();
  if (state.like) return api.similar(state.like.item_id, wanted.k).then((answer) => ({ ...answer, source: "similar" }));
  if (state.mode === "user") return api.forUser(state.user, wanted);
  if (state.session.length) return api.forSession(state.session.map((item) => item.item_id), wanted);
  return api.popular(wanted).then((answer) => ({ ...answer, source: "popular", reason: "the session is empty: add an item" }));
}

async function refresh() {
  if (state.mode === "user" && state.user === null) return;
  const answer = await guarded(ask);
  if (!answer) return;
  explain(answer);
  const best = Math.max(0, ...answer.items.map((item) => item.score));
  const rows = answer.items.map((item, place) => card(item, place + 1, answer, best));
  by("answer").textContent = answer.id;
  by("answer").parentElement.hidden = false;
  by("cards").replaceChildren(...(rows.length ? rows : [make("li", { class: "empty" }, "Nothing is left to recommend here.")]));
  await fillPrices(answer);
}

const historyRow = (item, extra) =>
  make("li", {}, make("span", { class: "name" }, nameOf(item), make("small", {}, readable(item.category) || "")), extra);

async function showHistory() {
  by("seen-words").textContent = state.mode === "user" ? "Keep what the user has" : "Keep what is in the session";
  if (state.mode === "session") {
    by("history-title").textContent = `In the session (${state.session.length})`;
    by("history").replaceChildren(...state.session.map((item) => historyRow(item,
      make("button", { type: "button", class: "remove", "aria-label": `Remove ${nameOf(item)}`, onclick: () => removeFromSession(item) }, "✕"))));
    return;
  }
  try {
    const found = await api.history(state.user);
    by("history-title").textContent = `History (${found.total})`;
    by("history").replaceChildren(...found.items.map((item) =>
      historyRow(item, item.last_day ? make("time", { datetime: item.last_day }, item.last_day) : make("small", {}, "since the release"))));
  } catch (error) {
    by("history-title").textContent = "History";
    if (error.status === 404) by("history").replaceChildren(make("li", { class: "muted" }, "No user with this id is in the release."));
    else fail(error);
  }
}

function remember() {
  const where = new URLSearchParams();
  if (state.mode === "user" && state.user !== null) where.set("user", state.user);
  if (state.mode === "session") where.set("session", JSON.stringify(state.session.map((item) => item.item_id)));
  window.history.replaceState(null, "", `?${where}`);
}

function pickUser(user) {
  state.user = user;
  state.like = null;
  by("user-input").value = user;
  remember();
  showHistory();
  refresh();
}

function setMode(mode) {
  state.mode = mode;
  state.like = null;
  document.querySelector(`input[name="mode"][value="${mode}"]`).checked = true;
  by("user-search").hidden = mode !== "user";
  by("item-search").hidden = mode !== "session";
  remember();
  showHistory();
  refresh();
}

function addToSession(item) {
  if (!state.session.some((known) => known.item_id === item.item_id)) state.session.push(item);
  setMode("session");
}

function removeFromSession(item) {
  state.session = state.session.filter((known) => known.item_id !== item.item_id);
  setMode("session");
}

function showSimilar(item) {
  state.like = item;
  refresh();
  by("source").scrollIntoView({ block: "nearest" });
}

function setTheme(theme) {
  document.documentElement.dataset.theme = theme;
  by("theme").textContent = theme === "dark" ? "☀" : "☾";
  try { localStorage.setItem("theme", theme); } catch { /* a private window stores nothing */ }
}

function showTab(name) {
  for (const tab of document.querySelectorAll('[role="tab"]')) {
    const chosen = tab.getAttribute("aria-controls") === name;
    tab.setAttribute("aria-selected", String(chosen));
    tab.tabIndex = chosen ? 0 : -1;
    by(tab.getAttribute("aria-controls")).hidden = !chosen;
  }
  if (name === "releases") guarded(showReleases);
  if (name === "quality") guarded(showQuality);
  if (name === "live") guarded(showLive);
  else leaveLive();
}

function wire() {
  const tabs = [...document.querySelectorAll('[role="tab"]')];
  tabs.forEach((tab, place) => {
    tab.addEventListener("click", () => showTab(tab.getAttribute("aria-controls")));
    tab.addEventListener("keydown", (event) => {
      const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
      if (!step) return;
      const next = tabs[(place + step + tabs.length) % tabs.length];
      next.focus();
      next.click();
    });
  });
  const suggestions = (work) => work.catch((error) => { fail(error); return null; });
  combobox(by("user-input"), by("user-options"), {
    suggest: (text) => suggestions(api.users(text).then((found) => found.user_ids)),
    show: (user) => [user], choose: pickUser, free: pickUser,
  });
  combobox(by("item-input"), by("item-options"), {
    suggest: (text) => (text ? suggestions(api.items(text).then((found) => found.items)) : Promise.resolve([])),
    show: (item) => [nameOf(item), make("small", {}, readable(item.category) || item.item_id)],
    choose: (item) => { by("item-input").value = ""; addToSession(item); },
  });
  combobox(by("whynot-input"), by("whynot-options"), {
    suggest: (text) => (text ? suggestions(api.items(text).then((found) => found.items)) : Promise.resolve([])),
    show: (item) => [nameOf(item), make("small", {}, readable(item.category) || item.item_id)],
    choose: (item) => { by("whynot-input").value = ""; askWhy(item); },
  });
  by("why-close").addEventListener("click", () => by("why").close());
  by("why").addEventListener("click", (event) => { if (event.target === by("why")) by("why").close(); });
  by("scenario").addEventListener("change", () => { describeScenario(); refresh(); });
  by("diversity").addEventListener("input", () => {
    const { diversity } = settings();
    by("diversity-value").textContent = diversity === undefined ? "as set" : `${Math.round(100 * diversity)} %`;
    refresh();
  });
  document.querySelectorAll('input[name="mode"]').forEach((radio) => radio.addEventListener("change", () => setMode(radio.value)));
  by("random").addEventListener("click", anotherUser);
  by("clear").addEventListener("click", () => { state.session = []; setMode("session"); });
  by("k").addEventListener("input", () => { by("k-value").textContent = by("k").value; refresh(); });
  by("category").addEventListener("change", refresh);
  by("seen").addEventListener("change", refresh);
  by("theme").addEventListener("click", () => setTheme(document.documentElement.dataset.theme === "dark" ? "light" : "dark"));
  document.addEventListener("keydown", (event) => {
    if (event.key !== "/" || event.target.closest("input, select")) return;
    event.preventDefault();
    by(state.mode === "user" ? "user-input" : "item-input").focus();
  });
}

const scenarioWords = new Map();
const describeScenario = () => { by("scenario-words").textContent = scenarioWords.get(by("scenario").value) ?? ""; };

async function fillScenarios() {
  const found = await guarded(api.scenarios);
  for (const one of found?.scenarios ?? []) {
    scenarioWords.set(one.name, one.description);
    const option = make("option", { value: one.name }, readable(one.name.replaceAll("_", " ")));
    option.selected = one.default;
    by("scenario").append(option);
  }
  describeScenario();
}

async function anotherUser() {
  const digits = String(Math.floor(1 + Math.random() * 9));
  const found = await guarded(() => api.users(digits, 100)) ?? { user_ids: [] };
  const all = found.user_ids.length ? found : await guarded(() => api.users("", 100));
  if (all?.user_ids.length) pickUser(all.user_ids[Math.floor(Math.random() * all.user_ids.length)]);
}

async function start() {
  let theme = null;
  try { theme = localStorage.getItem("theme"); } catch { /* nothing was stored */ }
  setTheme(theme ?? (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light"));
  wire();
  const where = new URLSearchParams(location.search);
  const [current, found] = await Promise.all([guarded(api.release), guarded(api.categories), fillScenarios()]);
  if (current) by("release").replaceChildren("release ", make("b", {}, current.release), `, ${ago(current.created_at)}`);
  for (const [name, count] of Object.entries(found?.categories ?? {}).slice(0, 300)) {
    by("category").append(make("option", { value: name }, `${readable(name)} (${count})`));
  }
  if (where.has("user")) pickUser(where.get("user"));
  else {
    const first = await guarded(() => api.users("", 1));
    if (first?.user_ids.length) pickUser(first.user_ids[0]);
  }
}

start();
