// The account of rows on the Quality tab: how many of the source's, or of a day's, are no interaction, and why.

import { by, make } from "/static/dom.js";

const number = (value) => value.toLocaleString("en");

function reasonsTable(of) {
  const row = (rows, words, example) => make("tr", {}, make("td", {}, rows), make("td", {}, words), make("td", {}, example));
  return make("table", {},
    make("thead", {}, make("tr", {}, ...["Rows", "Reason", "The first of them"].map((name) => make("th", { scope: "col" }, name)))),
    make("tbody", {},
      row(number(of.interactions), "interactions", ""),
      ...of.left_out.map((one) => row(number(one.rows), `${one.meaning} (${one.reason})`, one.example))));
}

// Show the account; nothing where every row is an interaction.
export function showRows(rows) {
  const some = Boolean(rows && (rows.left_out.length || rows.differences));
  by("rows-left-out").hidden = !some;
  if (!some) return;
  const all = rows.rows ?? rows.left_out.reduce((sum, one) => sum + one.rows, rows.interactions);
  by("rows-summary").textContent = `${number(all)} rows of the source, ${number(rows.interactions)} interactions`;
  by("rows-of-home").replaceChildren(reasonsTable(rows));
  by("rows-differences").hidden = !rows.differences;
  by("rows-differences").textContent = `${rows.differences}.`;
  by("rows-choice").hidden = by("rows-of-day").hidden = !rows.days.length;
  if (!rows.days.length) return;
  const choice = by("rows-day");
  choice.replaceChildren(...rows.days.map((one) => make("option", { value: one.day }, one.day)));
  const showDay = () => {
    by("rows-of-day").replaceChildren(reasonsTable(rows.days.find((one) => one.day === choice.value)));
  };
  choice.onchange = showDay;
  showDay();
}
