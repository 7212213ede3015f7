// The Quality tab: what needs attention in words; below it, folded away, every check by day as a heat map that the
// keyboard can move through, and drift as lines.

import * as api from "/static/api.js";
import { attentionList } from "/static/attention.js";
import { by, make } from "/static/dom.js";
import { driftLines } from "/static/drift.js";
import { showRows } from "/static/rows.js";

const words = { ok: "passed", warn: "warned", block: "rejected" };
const readable = (name) => name.replaceAll("_", " ");

function describe(one, day) {
  const value = day.value === null ? "" : `, value ${Number(day.value.toPrecision(4))}`;
  const rows = day.failing_rows ? `, ${day.failing_rows.toLocaleString("en")} rows` : "";
  return `${day.day} · ${readable(one.table)} · ${readable(one.check)}: ${words[day.verdict]}${value}${rows}. ${day.detail}`;
}

function walk(event) {
  const cell = event.target.closest("td");
  if (!cell) return;
  const row = cell.parentElement;
  const place = [...row.children].indexOf(cell);
  const along = { ArrowLeft: "previousElementSibling", ArrowRight: "nextElementSibling" }[event.key];
  const across = { ArrowUp: "previousElementSibling", ArrowDown: "nextElementSibling" }[event.key];
  let next = along ? cell[along] : null;
  if (across) {
    let other = row[across];
    while (other && other.children.length <= place) other = other[across];
    next = other?.children[place];
  }
  const button = next?.querySelector("button");
  if (!button) return;
  event.preventDefault();
  button.focus();
}

export async function showQuality() {
  const { attention, checks, rows: account } = await api.quality();
  showRows(account);
  by("attention").replaceChildren(...attentionList(attention, checks.length));
  by("all-checks").hidden = !checks.length;
  const drift = driftLines(checks, (words) => { by("drift-detail").textContent = words; });
  by("drift").hidden = !drift.length;
  by("drift-lines").replaceChildren(...drift);
  if (!checks.length) return;
  const days = [...new Set(checks.flatMap((one) => one.days.map((day) => day.day)))].sort();
  const rows = [];
  let table = null;
  let first = true;
  for (const one of checks) {
    if (one.table !== table) {
      table = one.table;
      rows.push(make("tr", {}, make("th", { scope: "rowgroup" }, readable(table))));
    }
    const known = new Map(one.days.map((day) => [day.day, day]));
    rows.push(make("tr", {}, make("th", { scope: "row" }, readable(one.check)), ...days.map((name) => {
      const day = known.get(name);
      if (!day) return make("td");
      const tell = () => { by("quality-detail").textContent = describe(one, day); };
      const button = make("button", { type: "button", class: day.verdict, tabindex: first ? "0" : "-1",
        "aria-label": `${name} ${words[day.verdict]}`, onfocus: tell, onmouseenter: tell });
      first = false;
      return make("td", {}, button);
    })));
  }
  const map = make("table", { class: "heat", onkeydown: walk }, make("tbody", {}, ...rows));
  by("quality-map").replaceChildren(map);
  const toTheLastDay = () => { by("quality-map").scrollLeft = map.scrollWidth; };
  by("all-checks").ontoggle = toTheLastDay;
  toTheLastDay();
}
