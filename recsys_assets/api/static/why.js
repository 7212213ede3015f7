// The panel that says why an item is in the list, or is not: the trace as a funnel.

import * as api from "/static/api.js";
import { by, make, nameOf } from "/static/dom.js";

const bar = (share) => {
  const fill = make("i");
  fill.style.width = share > 0 ? `${Math.max(1, Math.round(100 * share))}%` : "0";
  return make("div", { class: "bar-track" }, fill);
};

function funnel(stages, droppedBy) {
  const widest = Math.max(1, ...stages.map((stage) => stage.items_out));
  let section = "";
  const rows = [];
  for (const stage of stages) {
    if (stage.section !== section) {
      section = stage.section;
      rows.push(make("li", { class: "section" }, section));
    }
    const change = stage.section === "candidates" || stage.items_in === stage.items_out
      ? `${stage.items_out}` : `${stage.items_in} → ${stage.items_out}`;
    rows.push(make("li", { class: droppedBy.has(stage.name) ? "dropped" : "" },
      make("div", { class: "stage" },
        make("span", { class: "name" }, stage.name, make("small", {}, stage.rule)),
        make("span", { class: "numbers" }, `${change} · ${stage.ms.toFixed(2)} ms`)),
      bar(stage.items_out / widest)));
  }
  by("funnel").replaceChildren(...rows);
}

function facts(item) {
  if (!item) return [];
  const lines = [];
  const add = (name, value) => { if (value !== null && value !== undefined && value !== "") lines.push([name, String(value)]); };
  for (const reason of item.reasons ?? []) add(`${Math.round(100 * reason.share)} %`, reason.text);
  add("found by", item.sources?.join(", "));
  add("relevance", item.relevance?.toFixed(3));
  add("score", item.score?.toFixed(3));
  for (const effect of item.effects ?? []) add(effect.stage, effect.effect);
  add("dropped by", item.dropped_by);
  add("because", item.why);
  return lines;
}

const show = (item, words, trace, droppedBy) => {
  by("why-title").textContent = nameOf(item);
  by("why-words").textContent = words;
  const own = trace.items.find((one) => one.item_id === item.item_id);
  const lines = facts(own);
  by("why-item").replaceChildren(make("dl", { class: "facts" },
    ...lines.flatMap(([name, value]) => [make("dt", {}, name), make("dd", {}, value)])));
  funnel(trace.stages, new Set([...droppedBy, ...(own?.dropped_by ? [own.dropped_by] : [])]));
  const panel = by("why");
  if (!panel.open) panel.showModal();
  panel.scrollTop = 0;
};

function sessionWords(own, k) {
  if (!own) return "No source of this scenario found it, so no rule was applied to it.";
  if (own.dropped_by) return `It was dropped by “${own.dropped_by}”.`;
  return own.rank <= k ? `It is at place ${own.rank}.` : `It is at place ${own.rank}, below the ${k} that are shown.`;
}

export async function explain(item, { user, session, wanted }) {
  if (user !== null) {
    const found = await api.whyItem(user, item.item_id, wanted);
    show(found.item, found.words, found.trace, found.dropped_by.map((effect) => effect.stage));
    return;
  }
  const found = await api.explainSession(session, wanted);
  const own = found.trace.items.find((one) => one.item_id === item.item_id);
  show(item, sessionWords(own, wanted.k), found.trace, []);
}
