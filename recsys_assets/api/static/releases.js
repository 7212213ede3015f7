// The Releases tab: every release kept and its state, the moves of the current one, and candidates that failed.

import * as api from "/static/api.js";
import { by, make } from "/static/dom.js";
import { offerComparison } from "/static/comparison.js";

const spaced = (name) => name.replaceAll("_", " ");
const minute = (moment) => moment.slice(0, 16).replace("T", " ");
const figure = (value) => (value == null ? "–" : value.toLocaleString("en", { maximumFractionDigits: 4 }));
const MOVES = { promote: "promoted", rollback: "rolled back", recall: "recalled" };

// The released model's own metrics come first in an evaluation.
function ndcgOf(one) {
  const found = Object.entries(one.metrics).find(([name]) => name.endsWith("ndcg@10"));
  return found ? [found[1].toFixed(4), make("small", {}, found[0].slice(0, -"_ndcg@10".length))] : ["–"];
}

const keptBack = (one) => Boolean(one.gate && !one.gate.passed);

function stateOf(one) {
  if (one.current) return make("span", { class: "badge" }, keptBack(one) ? "current, forced" : "current");
  if (keptBack(one)) return make("span", { class: "badge fallback" }, "failed the gate");
  if (one.fault) return make("span", { class: "badge fault" }, "cannot be served");
  return "";
}

function releaseTable(releases) {
  const counts = [...new Set(releases.flatMap((one) => Object.keys(one.counts)))];
  const head = [...["Release", "State", "Made", "Days"].map((name) => make("th", { scope: "col" }, name)),
    ...[...counts.map(spaced), "NDCG@10", "Index recall"].map((name) => make("th", { scope: "col", class: "number" }, name))];
  const rows = releases.map((one) => make("tr", { class: one.current ? "current" : "" },
    make("th", { scope: "row" }, make("code", {}, one.release)),
    make("td", {}, stateOf(one)),
    make("td", {}, minute(one.created_at)),
    make("td", {}, `${one.first_day ?? ""} – ${one.through_day}`),
    ...counts.map((name) => make("td", { class: "number" }, figure(one.counts[name]))),
    make("td", { class: "number" }, ...ndcgOf(one)),
    make("td", { class: "number" }, figure(one.index.recall))));
  return make("table", {},
    make("thead", {}, make("tr", {}, ...head)), make("tbody", {}, ...rows));
}

const result = (one) => make("li", {}, make("b", {}, spaced(one.name)), `: ${one.detail}`);

// Why a release is not served: the checks of the gate that it failed, or what is wrong with it now.
function unserved(one) {
  const where = make("p", { class: "attention-where" }, make("code", {}, one.release), " · ",
    make("b", {}, keptBack(one) ? "failed the gate" : "cannot be served"),
    ...(keptBack(one) && one.gate.against ? [" · compared with ", make("code", {}, one.gate.against)] : []));
  const reasons = keptBack(one)
    ? make("ul", { class: "reasons" }, ...one.gate.results.filter((each) => !each.passed).map(result)) : make("p", {}, one.fault);
  return make("li", { class: `attention ${keptBack(one) ? "attention-warn" : "attention-block"}` }, where, reasons);
}

function moveRow(move) {
  return make("li", { class: `move move-${move.move}` },
    make("p", { class: "attention-where" }, make("time", { datetime: move.at }, minute(move.at)), " · ",
      make("b", {}, MOVES[move.move]), move.who ? ` by ${move.who}` : null),
    make("p", {}, move.before ? make("code", {}, move.before) : "nothing", " → ", make("code", {}, move.after)),
    move.why ? make("p", { class: "why" }, move.why) : null);
}

export async function showReleases() {
  const [{ releases }, { moves }] = await Promise.all([api.releases(), api.moves()]);
  by("release-list").replaceChildren(releaseTable(releases));
  const others = releases.filter((one) => one.fault || keptBack(one));
  by("candidates").hidden = !others.length;
  by("candidate-list").replaceChildren(...others.map(unserved));
  by("moves").replaceChildren(...(moves.length ? moves.map(moveRow) : [make("li", { class: "muted" }, "No release was promoted yet.")]));
  await offerComparison(releases, moves);
}
