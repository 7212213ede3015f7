// Golden users side by side: the list that each of two releases gives them, and where it breaks what was promised.

import { make, readable } from "/static/dom.js";

const percent = (share) => `${Math.round(100 * share)} %`;

function list(names, others, label) {
  const kept = new Set(others);
  return make("div", {}, make("h5", {}, label), make("ol", {}, ...names.map((name) =>
    make("li", { class: kept.has(name) ? "" : "only" }, readable(name)))));
}

function user(one, before, after) {
  const overlap = one.overlap == null ? "" : ` · ${percent(one.overlap)} in common`;
  return make("li", { class: `attention ${one.passed ? "attention-ok" : "attention-block"}` },
    make("p", { class: "attention-where" }, "User ", make("b", {}, one.user), one.scenario ? ` · ${one.scenario}` : "", ` · ${one.passed ? "as promised" : "not as promised"}${overlap}`),
    ...one.problems.map((problem) => make("p", { class: "answer" }, problem)),
    make("div", { class: "sides" }, list(one.before, one.after, before), list(one.after, one.before, after)));
}

// The part with all golden users; nothing where there are none.
export function goldenUsers(golden, before, after, part) {
  if (!golden?.length) return [];
  return [part("Golden users", make("ul", { class: "attention-list" }, ...golden.map((one) => user(one, before, after))))];
}
