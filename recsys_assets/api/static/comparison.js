// The comparison of two releases on the Releases tab: chosen by two lists, told as figures, lists and changes.

import * as api from "/static/api.js";
import { by, make, readable } from "/static/dom.js";
import { goldenUsers } from "/static/golden.js";
import { metricTable } from "/static/metric_table.js";

const SHOWN_FEATURES = 12;
const number = (value) => value.toLocaleString("en", { maximumSignificantDigits: 4 });
const percent = (share) => `${(100 * share).toLocaleString("en", { maximumFractionDigits: share < 0.1 ? 1 : 0 })} %`;
const counted = (count, noun) => `${count.toLocaleString("en")} ${noun}${count === 1 ? "" : "s"}`;
const shown = (value) => (value == null ? "–" : typeof value === "object" ? JSON.stringify(value) : String(value));
const part = (title, ...children) => make("section", { class: "part" }, make("h3", {}, title), ...children);
const unchanged = (words) => make("p", { class: "muted" }, words);

function tile(title, value, words, share = null) {
  const bar = make("i");
  if (share !== null) bar.style.width = `${Math.max(1, 100 * share)}%`;
  return make("li", { class: "tile" }, make("span", { class: "tile-title" }, title), make("b", {}, value),
    make("span", { class: "muted" }, words), share === null ? null : make("div", { class: "meter" }, bar));
}

const signed = (value) => `${value < 0 ? "−" : "+"}${Math.abs(value).toFixed(4)}`;

function metricTile({ metrics, paired_users: users }) {
  const one = metrics.find((each) => each.metric === "ndcg@10");
  if (!one?.before || !one.after) return tile("NDCG@10", "–", "not measured in both");
  if (!one.difference) return tile("NDCG@10", `${one.before.value.toFixed(4)} → ${one.after.value.toFixed(4)}`, "not on the same users and days");
  const { value, low, high } = one.difference;
  const verdict = low > 0 ? "better" : high < 0 ? "worse" : "no more than chance";
  return tile("NDCG@10", signed(value), `${signed(low)} to ${signed(high)} on ${counted(users, "user")}: ${verdict}`);
}

function tiles(found) {
  const { lists, days, rules, settings, model } = found;
  const moved = [[days.added, "added"], [days.rebuilt, "rebuilt"], [days.removed, "removed"]].filter(([some]) => some.length);
  const features = new Set(found.features.flatMap((table) => table.columns.map((column) => `${table.entity} ${column.name}`)));
  return make("ul", { class: "tiles" },
    metricTile(found),
    tile("Other items in the list", percent(lists.changed), `of ${counted(lists.users, "user")}; ${percent(lists.overlap)} of a list stays`, lists.changed),
    tile("Days", moved.length ? moved.map(([some, word]) => `${some.length} ${word}`).join(", ") : "the same", `through ${found.after.through_day}`),
    tile("Changes", String(rules.length + settings.length + model.length),
      `${counted(rules.length, "rule")}, ${counted(settings.length, "setting")}, ${counted(model.length, "model parameter")}; ${counted(features.size, "feature")} with other values`));
}

const names = (some, mark, word) => make("ul", { class: `names names-${word}`, "aria-label": word },
  ...some.map((name) => make("li", {}, make("span", { "aria-hidden": "true" }, mark), readable(name))));

function examples({ examples: some, only_before: before, only_after: after, k }) {
  if (!some.length) return unchanged(`No compared user gets other items in the first ${k}.`);
  const only = [[before, "first"], [after, "second"]].filter(([some]) => some)
    .map(([some, which]) => make("p", { class: "muted" }, `Known to the ${which} alone: ${counted(some, "user")}.`));
  return make("div", {}, ...only, make("ul", { class: "examples" }, ...some.map((one) => make("li", {},
    make("h4", {}, "User ", make("a", { href: `/?user=${encodeURIComponent(one.user_id)}` }, one.user_id)),
    make("div", { class: "sides" }, names(one.gone, "−", "gone"), names(one.new, "+", "new"))))));
}

function changes(fields) {
  return make("dl", { class: "changes" }, ...fields.flatMap((one) => [make("dt", {}, one.name),
    make("dd", {}, make("del", {}, shown(one.before)), " → ", make("ins", {}, shown(one.after)))]));
}

function ruleRow(one) {
  const place = [one.scenario || "the file", one.section].filter(Boolean).join(" · ");
  return make("li", {}, make("p", {}, make("span", { class: `badge change-${one.change}` }, one.change), place, one.rule ? " · " : null,
    one.rule ? make("b", {}, one.rule) : null), one.fields.length ? changes(one.fields) : null);
}

function featurePart(table) {
  const rows = table.rows_added || table.rows_gone
    ? `${counted(table.rows_added, "row")} added, ${table.rows_gone.toLocaleString("en")} gone. ` : "";
  const words = `${rows}${table.changed.toLocaleString("en")} of ${table.compared.toLocaleString("en")} compared rows have other values.`;
  const listed = [[table.added, "added"], [table.removed, "removed"]].filter(([some]) => some.length);
  const bar = (share) => {
    const fill = make("i");
    fill.style.width = `${Math.max(1, 100 * share)}%`;
    return make("div", { class: "meter" }, fill);
  };
  const row = (one) => make("tr", {}, make("th", { scope: "row" }, one.name), make("td", {}, percent(one.share), bar(one.share)),
    make("td", { class: "number" }, one.before == null || one.after == null ? "" : `${number(one.before)} → ${number(one.after)}`));
  const head = make("thead", {}, make("tr", {}, ...["Feature", "Other values", "Mean"].map((name) =>
    make("th", { scope: "col", class: name === "Mean" ? "number" : "" }, name))));
  const more = table.columns.length - SHOWN_FEATURES;
  const label = `Features of ${table.entity}s`;
  return make("div", {}, make("h4", {}, `Of ${table.entity}s`), make("p", { class: "muted" }, words),
    ...listed.map(([some, word]) => make("p", {}, make("span", { class: `badge change-${word}` }, word), some.join(", "))),
    table.redefined.length ? changes(table.redefined) : null,
    table.columns.length ? make("div", { class: "table-scroll", tabindex: "0", role: "region", "aria-label": label },
      make("table", {}, head, make("tbody", {}, ...table.columns.slice(0, SHOWN_FEATURES).map(row)))) : null,
    more > 0 ? make("p", { class: "muted" }, `${more} more with other values.`) : null);
}

function dayPart(days) {
  const kinds = ["added", "rebuilt", "removed"].filter((kind) => days[kind].length);
  if (!kinds.length) return unchanged("Both are built on the same days.");
  return make("div", {}, ...kinds.map((kind) => {
    const some = days[kind];
    const words = some.length > 6 ? `${some[0]} – ${some[some.length - 1]} (${some.length})` : some.join(", ");
    return make("p", {}, make("span", { class: `badge change-${kind}` }, kind), words);
  }));
}

function show(answer) {
  const found = answer.difference;
  const { before, after } = found;
  const fields = [...found.model.map((one) => ({ ...one, name: `model: ${one.name}` })), ...found.settings];
  by("comparison").replaceChildren(
    tiles(found),
    part("Metrics on held-out days", metricTable(found), found.metrics_note ? make("p", { class: "muted" }, found.metrics_note) : null),
    ...goldenUsers(answer, before.release, after.release, part),
    part("Lists of users, without rules", make("p", { class: "muted" }, `Drawn at random: ${counted(found.lists.users, "user")} that both know; the most changed first.`), examples(found.lists)),
    make("div", { class: "columns" },
      part("Rules", found.rules.length ? make("ul", { class: "plain" }, ...found.rules.map(ruleRow)) : unchanged("The rules are the same.")),
      part("Settings and model", fields.length ? changes(fields) : unchanged("Built with the same settings, by the same model.")),
      part("Days", dayPart(found.days))),
    part("Features", make("div", { class: "columns columns-wide" }, ...found.features.map(featurePart))));
}

async function compare() {
  const [one, other] = [by("compare-before").value, by("compare-after").value];
  by("comparison-words").textContent = "Comparing …";
  by("comparison").replaceChildren();
  try {
    const found = await api.difference(one, other);
    by("comparison-words").textContent = one === other ? "This is one and the same release." : `From ${one} to ${other}.`;
    show(found);
  } catch (error) {
    if (!api.wasOvertaken(error)) by("comparison-words").textContent = error.message;
  }
}

// Fill both lists and compare: a newer candidate with the current release, else that with the one before.
export async function offerComparison(releases, moves) {
  by("compare").hidden = releases.length < 2;
  if (releases.length < 2) return;
  const current = releases.find((one) => one.current)?.release;
  const newest = releases[0].release;
  const kept = new Set(releases.map((one) => one.release));
  const left = moves.map((move) => move.before).find((release) => kept.has(release) && release !== current)
    ?? releases.find((one) => one.release !== current).release;
  const [before, after] = current && newest !== current ? [current, newest] : [left, current ?? newest];
  for (const [id, chosen] of [["compare-before", before], ["compare-after", after]]) {
    by(id).replaceChildren(...releases.map((one) => {
      const option = make("option", { value: one.release }, `${one.release}${one.current ? " (current)" : ""}`);
      option.selected = one.release === chosen;
      return option;
    }));
    by(id).onchange = compare;
  }
  by("compare-swap").onclick = () => {
    [by("compare-before").value, by("compare-after").value] = [by("compare-after").value, by("compare-before").value];
    compare();
  };
  await compare();
}
