// Drift on the Quality tab: one small line for each profile value, all on one scale, with its threshold.

import { make, svg } from "/static/dom.js";

const WIDTH = 240;
const HEIGHT = 56;
const CEILING = 2; // in thresholds: without it a broken day would flatten all others
const GAP_DAYS = 1.5 * 86400e3;
const prefix = "drift_";

const counted = (count, noun) => `${count} ${noun}${count === 1 ? "" : "s"}`;
const short = (number) => String(Number(number.toPrecision(2)));

// The drawn part of a check: the days on which it applied, each with its score and threshold.
function line({ table, check, days }) {
  const scored = days.filter((day) => day.value !== null && day.warn_above);
  return { table, name: check.slice(prefix.length).replaceAll("_", " "), days: scored };
}

function words({ days }) {
  const last = days[days.length - 1];
  const count = (verdict) => days.filter((day) => day.verdict === verdict).length;
  const rejected = count("block") ? `, ${count("block")} rejected` : "";
  return `${short(last.value)} of ${short(last.warn_above)} · ${counted(count("warn"), "warning")}${rejected}`;
}

// For screen readers: the facts that only the line shows.
function unseen({ days }) {
  const last = days[days.length - 1];
  return `; the last of ${counted(days.length, "day")} is ${last.day}, score ${short(last.value)}, which warns from ${short(last.warn_above)}`;
}

function onDay(one, day) {
  const said = { ok: "passed", warn: "warned", block: "rejected" }[day.verdict];
  return `${day.day} · ${one.name}: ${said}, score ${short(day.value)}, warns from ${short(day.warn_above)}. ${day.detail}`;
}

function chart(one, span) {
  const [from, to] = span;
  const at = (day) => Date.parse(day.day);
  const x = (day) => 4 + (WIDTH - 8) * (to > from ? (at(day) - from) / (to - from) : 1);
  const height = (thresholds) => HEIGHT - 4 - (HEIGHT - 8) * Math.min(thresholds / CEILING, 1);
  const y = (day) => height(day.value / day.warn_above);
  let before = null;
  const path = one.days.map((day) => {
    const joined = before !== null && at(day) - at(before) <= GAP_DAYS;
    before = day;
    return `${joined ? "L" : "M"}${x(day).toFixed(1)} ${y(day).toFixed(1)}${joined ? "" : "h.1"}`;
  }).join("");
  const dots = one.days.filter((day) => day.verdict !== "ok")
    .map((day) => svg("circle", { class: `dot-${day.verdict}`, cx: x(day), cy: y(day), r: 3.5 }));
  const cursor = svg("line", { class: "cursor", y1: 0, y2: HEIGHT, visibility: "hidden" });
  const threshold = svg("line", { class: "threshold", x1: 0, x2: WIDTH, y1: height(1), y2: height(1) });
  const picture = svg("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, "aria-hidden": "true" },
    threshold, svg("path", { d: path }), ...dots, cursor);
  const show = (day) => {
    for (const end of ["x1", "x2"]) cursor.setAttribute(end, x(day));
    cursor.setAttribute("visibility", "visible");
  };
  return { picture, x, show, hide: () => cursor.setAttribute("visibility", "hidden") };
}

function figure(one, span, tell) {
  const { picture, x, show, hide } = chart(one, span);
  let place = one.days.length - 1;
  const move = (next) => {
    place = Math.max(0, Math.min(one.days.length - 1, next));
    show(one.days[place]);
    tell(onDay(one, one.days[place]));
  };
  const point = (event) => {
    const box = picture.getBoundingClientRect();
    const wanted = ((event.clientX - box.left) / box.width) * WIDTH;
    const far = one.days.map((day) => Math.abs(x(day) - wanted));
    move(far.indexOf(Math.min(...far)));
  };
  const steps = { ArrowLeft: () => place - 1, ArrowRight: () => place + 1, Home: () => 0, End: () => one.days.length - 1 };
  const press = (event) => {
    if (!steps[event.key]) return;
    event.preventDefault();
    move(steps[event.key]());
  };
  return make("li", {}, make("button", { type: "button", onkeydown: press, onmousemove: point,
    onclick: point, onmouseleave: hide, onblur: hide, onfocus: () => move(place) },
  make("b", {}, one.name), picture, make("small", {}, words(one)), make("span", { class: "hidden" }, unseen(one))));
}

// The small multiples, the worst first; `tell` is given a sentence on the day pointed at.
export function driftLines(checks, tell) {
  const lines = checks.filter((one) => one.check.startsWith(prefix)).map(line).filter((one) => one.days.length);
  const worst = ({ days }) => Math.max(...days.map((day) => day.value / day.warn_above));
  const dates = lines.flatMap((one) => one.days.map((day) => Date.parse(day.day)));
  const span = [Math.min(...dates), Math.max(...dates)];
  return lines.sort((a, b) => worst(b) - worst(a)).map((one) => figure(one, span, tell));
}
