// What needs attention on the Quality tab: a day and the question it failed, in words, newest first.

import { make } from "/static/dom.js";

const SHOWN = 8; // the others are folded away
const spaced = (name) => name.replaceAll("_", " ");
const words = { warn: "warned", block: "rejected" };
const sentence = (text) => text && text.charAt(0).toUpperCase() + text.slice(1) + (/[.!?]$/.test(text) ? "" : ".");

// A text in which `backticks` mark what is typed.
function typed(text) {
  return text.split("`").map((part, place) => (place % 2 ? make("code", {}, part) : part));
}

function rowsTable(rows) {
  const names = [...new Set(rows.flatMap((row) => Object.keys(row)))];
  const cell = (value) => make("td", {}, value == null ? "–" : String(value));
  return make("div", { class: "table-scroll", tabindex: "0", role: "region", "aria-label": "Failing rows" },
    make("table", {},
      make("thead", {}, make("tr", {}, ...names.map((name) => make("th", { scope: "col" }, spaced(name))))),
      make("tbody", {}, ...rows.map((row) => make("tr", {}, ...names.map((name) => cell(row[name])))))));
}

// The checks behind the question, each with its finding and some of the rows that fail.
function findings(one) {
  const rows = one.findings.reduce((most, each) => Math.max(most, each.failing_rows), 0);
  const told = rows ? `${rows.toLocaleString("en")} failing row${rows === 1 ? "" : "s"}` : null;
  const checks = `${one.findings.length} check${one.findings.length === 1 ? "" : "s"}`;
  return make("details", { class: "findings" },
    make("summary", {}, [told, checks].filter(Boolean).join(" · ")),
    ...one.findings.flatMap((each) => [
      make("p", {}, make("b", {}, spaced(each.check)), ` ${words[each.verdict]}. ${sentence(each.detail)}`),
      each.rows.length ? rowsTable(each.rows) : null,
    ]));
}

function card(one) {
  const verdict = one.findings.some((each) => each.verdict === "block") ? "block" : "warn";
  const day = one.day ? make("time", { datetime: one.day }, one.day) : make("span", {}, "all days");
  return make("li", { class: `attention attention-${verdict}` },
    make("p", { class: "attention-where" }, day, ` · ${spaced(one.table)} · `, make("b", {}, words[verdict])),
    make("h2", {}, one.question),
    make("p", { class: "answer" }, sentence(one.findings[0].detail)),
    one.why ? make("p", { class: "muted" }, one.why) : null,
    one.remedy ? make("p", {}, "What to do: ", ...typed(one.remedy)) : null,
    one.command ? make("p", {}, "Look further: ", make("code", {}, one.command)) : null,
    findings(one));
}

// The cards, newest first; all but the first few behind a disclosure.
export function attentionList(attention, days) {
  if (!attention.length) {
    return [make("p", { class: "all-well" }, days
      ? "Nothing needs attention: every day answered every question."
      : "Nothing has been checked here yet.")];
  }
  const list = (some) => make("ul", { class: "attention-list" }, ...some.map(card));
  const more = attention.slice(SHOWN);
  return [list(attention.slice(0, SHOWN)), more.length
    ? make("details", { class: "older" }, make("summary", {}, `${more.length} older`), list(more)) : ""];
}
