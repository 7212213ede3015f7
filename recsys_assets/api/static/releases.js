// The Releases tab: every release kept, its measures, and which one is served.

import * as api from "/static/api.js";
import { by, make } from "/static/dom.js";

const number = (value) => (typeof value === "number" ? (Number.isInteger(value) ? value.toLocaleString("en") : value.toFixed(4)) : String(value ?? "–"));

const plain = (values) => Object.entries(values).filter(([, value]) => typeof value !== "object" || value === null);

export async function showReleases() {
  const { releases } = await api.releases();
  const counts = [...new Set(releases.flatMap((one) => plain(one.counts).map(([name]) => name)))];
  const metrics = [...new Set(releases.flatMap((one) => plain(one.metrics).map(([name]) => name)))];
  const words = (name) => name.replaceAll("_", " ");
  const head = ["release", "served", "made", "days", ...counts.map(words), ...metrics.map(words), "index recall"];
  const rows = releases.map((one) => make("tr", { class: one.current ? "current" : "" },
    make("th", { scope: "row" }, make("code", {}, one.release)),
    make("td", {}, one.current ? make("span", { class: "badge" }, "current") : ""),
    make("td", {}, one.created_at.slice(0, 16).replace("T", " ")),
    make("td", {}, `${one.first_day ?? ""} – ${one.through_day}`),
    ...counts.map((name) => make("td", {}, number(one.counts[name]))),
    ...metrics.map((name) => make("td", {}, number(one.metrics[name]))),
    make("td", {}, number(one.index.recall))));
  by("release-list").replaceChildren(make("table", {},
    make("thead", {}, make("tr", {}, ...head.map((name) => make("th", { scope: "col" }, name)))), make("tbody", {}, ...rows)));
}
