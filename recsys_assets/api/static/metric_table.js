// Metrics of two releases: values, the difference on the same users, and both 95 % intervals on one scale.

import { make, svg } from "/static/dom.js";

const WIDTH = 180;
const HEIGHT = 26;
const DEPTH = "@10"; // the others are folded away
const NAMES = { ndcg: "NDCG", recall: "Recall", hit_rate: "Hit rate", mrr: "MRR", coverage: "Coverage", novelty: "Novelty" };

const signed = (value) => `${value < 0 ? "−" : "+"}${Math.abs(value).toFixed(4)}`;
const named = (metric) => {
  const [name, depth] = metric.split("@");
  return `${NAMES[name] ?? name.replaceAll("_", " ")}@${depth}`;
};

// Two lines, before above after, each from the lower to the upper bound with a dot at the value.
function intervals({ before, after }) {
  const sides = [before, after];
  if (sides.some((one) => one?.low == null)) return "";
  const [least, most] = [Math.min(before.low, after.low), Math.max(before.high, after.high)];
  const x = (value) => 6 + (WIDTH - 12) * (most > least ? (value - least) / (most - least) : 0.5);
  return svg("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, class: "intervals", "aria-hidden": "true" },
    ...sides.flatMap((one, place) => {
      const y = 8 + 10 * place;
      const kind = place ? "after" : "before";
      return [svg("line", { class: kind, x1: x(one.low), x2: x(one.high), y1: y, y2: y }), svg("circle", { class: kind, cx: x(one.value), cy: y, r: 3.5 })];
    }));
}

function value(one) {
  if (!one) return ["–"];
  return [one.value.toFixed(4), one.low == null ? null : make("small", {}, `${one.low.toFixed(4)} to ${one.high.toFixed(4)}`)];
}

function difference(one) {
  if (!one) return ["–"];
  const kind = one.low > 0 ? "better" : one.high < 0 ? "worse" : "";
  return [make("b", { class: kind }, signed(one.value)), make("small", {}, `${signed(one.low)} to ${signed(one.high)}`)];
}

function table(metrics, paired, label) {
  const columns = ["Before", "After", ...(paired ? ["Difference on the same users"] : []), "95 % intervals"];
  const head = [make("th", { scope: "col" }, "Metric"), ...columns.map((name) => make("th", { scope: "col", class: "number" }, name))];
  const row = (one) => make("tr", {}, make("th", { scope: "row" }, named(one.metric)),
    make("td", { class: "number" }, ...value(one.before)), make("td", { class: "number" }, ...value(one.after)),
    paired ? make("td", { class: "number" }, ...difference(one.difference)) : null, make("td", {}, intervals(one)));
  return make("div", { class: "table-scroll", tabindex: "0", role: "region", "aria-label": label },
    make("table", { class: "metrics" }, make("thead", {}, make("tr", {}, ...head)),
      make("tbody", {}, ...metrics.map(row))));
}

// The table of a difference; depths beside the first are behind a disclosure.
export function metricTable({ metrics, paired_users: paired, before, after }) {
  if (!metrics.length) return make("p", { class: "muted" }, "Neither was measured.");
  const shown = metrics.filter((one) => one.metric.endsWith(DEPTH));
  const others = metrics.filter((one) => !one.metric.endsWith(DEPTH));
  const best = [before, after].map((one) => (one.best_baseline_ndcg == null ? "–" : `${one.best_baseline.replaceAll("_", " ")} ${one.best_baseline_ndcg.toFixed(4)}`));
  return make("div", {}, table(shown.length ? shown : metrics, paired, "Metrics at 10"),
    make("p", { class: "muted" }, `Best baseline by NDCG@10: ${best[0] === best[1] ? best[0] : best.join(" → ")}.`),
    shown.length && others.length ? make("details", {}, make("summary", {}, "At other depths"), table(others, paired, "Metrics at other depths")) : null);
}
