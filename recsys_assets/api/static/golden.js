// Golden users side by side: the list that each of two releases gives them, and where it breaks what was promised.

import { make, readable } from "/static/dom.js";

const percent = (share) => `${Math.round(100 * share)} %`;
const nameOf = (item) => readable(item.title) || item.item_id;

function list(items, others, label) {
  const kept = new Set((others ?? items ?? []).map((item) => item.item_id));
  return make("div", {}, make("h5", {}, label), items?.length
    ? make("ol", {}, ...items.map((item) => make("li", { class: kept.has(item.item_id) ? "" : "only" }, nameOf(item))))
    : make("p", { class: "muted" }, "No list."));
}

function user(one, before, after) {
  const passed = !one.failures.length;
  return make("li", { class: `attention ${passed ? "attention-ok" : "attention-block"}` },
    make("p", { class: "attention-where" }, `${one.scenario} · `, make("b", {}, passed ? "as expected" : "not as expected"),
      one.overlap == null ? "" : ` · ${percent(one.overlap)} in common`),
    make("h4", {}, `User ${one.user}`),
    ...one.failures.map((failure) => make("p", { class: "answer" }, failure)),
    make("div", { class: "sides" }, list(one.before, one.after, before), list(one.after, one.before, after)));
}

// The part with all golden users; nothing where there are none.
export function goldenUsers({ golden, golden_problem: problem }, before, after, part) {
  if (problem) return [part("Golden users", make("p", {}, problem))];
  if (!golden.length) return [];
  return [part("Golden users", make("p", { class: "muted" }, "Each release by its own rules; what only one of the lists has is coloured."),
    make("ul", { class: "attention-list golden" }, ...golden.map((one) => user(one, before, after))))];
}
