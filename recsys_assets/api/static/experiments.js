// Experiments on the Live tab: each arm's difference from the control over days, with its interval, and the verdict.

import * as api from "/static/api.js";
import { by, make, svg } from "/static/dom.js";

const WIDTH = 720;
const HEIGHT = 200;
const LEFT = 64;
const DAY_MS = 86400e3;
const METRICS = { ctr: "click rate", conversion: "conversion", value_per_answer: "value an answer" };
const STATES = { planned: "has not begun", running: "runs", over: "is over", stopped: "was stopped" };

const spaced = (name) => name.replaceAll("_", " ");
const metricName = (name) => METRICS[name] ?? spaced(name);
const number = (value, metric) => {
  if (value == null) return "–";
  return metric === "value_per_answer" ? value.toLocaleString("en", { maximumFractionDigits: 3 })
    : `${(100 * value).toLocaleString("en", { maximumFractionDigits: 2 })} %`;
};
const signed = (value, metric) => (value > 0 ? `+${number(value, metric)}` : number(value, metric));

// An arm's looks with an interval; the control, and days with too few users, have none.
const judged = (days, arm) => days.flatMap(({ day, arms }) => {
  const look = arms.find((one) => one.arm === arm);
  return look && look.low != null && look.high != null ? [{ day, ...look }] : [];
});

function chart(looks, span, metric, name) {
  const ends = looks.flatMap((one) => [one.low, one.high]);
  const low = Math.min(0, ...ends);
  const high = Math.max(0, ...ends);
  const room = (high - low || 1) * 0.06;
  const x = (day) => LEFT + 6 + (WIDTH - LEFT - 12) * (span[1] > span[0] ? (Date.parse(day) - span[0]) / (span[1] - span[0]) : 0.5);
  const y = (value) => 8 + (HEIGHT - 34) * ((high + room - value) / (high - low + 2 * room));
  const points = (value) => looks.map((one) => `${x(one.day).toFixed(1)} ${y(value(one)).toFixed(1)}`);
  const last = looks[looks.length - 1];
  const label = `${spaced(name)}: difference from the control ${signed(last.difference, metric)}, between ${signed(last.low, metric)} and ${signed(last.high, metric)} on ${last.day}`;
  const text = (value) => svg("text", { x: LEFT - 6, y: y(value) + 4, "text-anchor": "end" }, signed(value, metric));
  const day = (value, anchor) => svg("text", { x: x(value), y: HEIGHT - 4, "text-anchor": anchor }, value);
  const first = looks[0];
  const apart = low < 0 && high > 0 && Math.min(y(0) - y(high), y(low) - y(0)) > 22;
  return svg("svg", { class: `curve curve-${last.verdict.replaceAll(" ", "-")}`, viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: "img", "aria-label": label },
    svg("path", { class: "band", d: `M${[...points((one) => one.high), ...points((one) => one.low).reverse()].join("L")}Z` }),
    svg("line", { class: "zero", x1: LEFT, x2: WIDTH, y1: y(0), y2: y(0) }),
    svg("path", { class: "line", d: `M${points((one) => one.difference).join("L")}${looks.length > 1 ? "" : "h.1"}` }),
    ...looks.map((one) => svg("circle", { cx: x(one.day), cy: y(one.difference), r: 2.5 })),
    text(high), ...(apart ? [text(0)] : []), text(low),
    ...(looks.length > 1 ? [day(first.day, "start"), day(last.day, "end")] : [day(last.day, "middle")]));
}

function table(days, metric) {
  const names = ["Day", "Arm", "Users", "Shown", metricName(metric), "Difference", "Between", "Verdict"];
  const rows = [...days].reverse().flatMap(({ day, arms }) => arms.map((one) => make("tr", {},
    make("td", {}, day), make("td", {}, spaced(one.arm)),
    make("td", { class: "number" }, one.users.toLocaleString("en")),
    make("td", { class: "number" }, one.shown.toLocaleString("en")),
    make("td", { class: "number" }, number(one.value, metric)),
    make("td", { class: "number" }, one.difference == null ? "–" : signed(one.difference, metric)),
    make("td", {}, one.low == null ? "–" : `${signed(one.low, metric)} and ${signed(one.high, metric)}`),
    make("td", {}, one.verdict))));
  return make("table", {},
    make("thead", {}, make("tr", {}, ...names.map((name) => make("th", { scope: "col" }, name)))),
    make("tbody", {}, ...rows));
}

function draw(found) {
  const { metric, days } = found;
  const why = [found.stopped && `Stopped: ${found.stopped}`, found.problem].filter(Boolean).join(" ");
  by("experiment-words").textContent =
    `${found.start} to ${found.end}, decided by ${metricName(metric)}; it ${STATES[found.state] ?? found.state}. ${why}`.trim();
  const ended = found.arms.filter((arm) => arm.ended).map((arm) => `${spaced(arm.name)} was ended by a guard rail: ${arm.why}`);
  const words = [...found.words, ...ended];
  by("experiment-verdicts").replaceChildren(...(words.length ? words : ["No day has been looked at yet."]).map((one) => make("li", {}, one)));
  const dates = days.map((one) => Date.parse(one.day));
  const span = dates.length ? [Math.min(...dates), Math.max(...dates, Math.min(...dates) + DAY_MS)] : [0, 1];
  const curves = found.arms.slice(1).map((arm) => ({ arm, looks: judged(days, arm.name) })).filter((one) => one.looks.length);
  by("experiment-curve").replaceChildren(...curves.map(({ arm, looks }) => make("figure", { class: "experiment" },
    make("figcaption", {}, make("b", {}, spaced(arm.name)), ` less ${spaced(found.arms[0].name)}: ${metricName(metric)}, and where it lies surely`),
    chart(looks, span, metric, arm.name))));
  by("experiment-days").hidden = !days.length;
  by("experiment-table").replaceChildren(table(days, metric));
}

async function choose() {
  const name = by("experiment").value;
  if (name) draw(await api.experiment(name));
}

export async function showExperiments() {
  const { experiments, problem } = await api.experiments();
  by("experiments").hidden = !experiments.length && !problem;
  const before = by("experiment").value;
  by("experiment").replaceChildren(...experiments.map((one) => make("option", { value: one.name }, spaced(one.name))));
  if (experiments.some((one) => one.name === before)) by("experiment").value = before;
  by("experiment-words").textContent = problem ?? "";
  await choose();
}

by("experiment").addEventListener("change", choose);
