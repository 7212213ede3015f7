// The Live tab: what the server says happens now, a message a second, while the tab is open.

import * as api from "/static/api.js";
import { by, make, nameOf, svg } from "/static/dom.js";
import { showExperiments } from "/static/experiments.js";
import { showStates } from "/static/item_state.js";

const KEPT = 120; // messages, so two minutes
const AGAIN_MS = 2000;
const WIDTH = 600;
const HEIGHT = 110;
const state = { rates: [], paused: false, watching: null, states: null };

const figure = (value) => value.toLocaleString("en", { maximumFractionDigits: value < 10 ? 1 : 0 });
const percent = (value) => `${(100 * value).toLocaleString("en", { maximumFractionDigits: 2 })} %`;
const clock = (moment) => new Date(moment).toLocaleTimeString("en-GB");

const say = (words) => { if (by("live-status").textContent !== words) by("live-status").textContent = words; };

function drawRates() {
  const most = Math.max(...state.rates);
  const x = (place) => WIDTH - ((state.rates.length - 1 - place) * WIDTH) / (KEPT - 1);
  const y = (rate) => HEIGHT - 4 - (HEIGHT - 10) * (rate / Math.max(most, 1));
  const line = state.rates.map((rate, place) => `${place ? "L" : "M"}${x(place).toFixed(1)} ${y(rate).toFixed(1)}`).join("");
  const now = state.rates[state.rates.length - 1];
  by("live-rate").textContent = figure(now);
  by("live-most").textContent = `${figure(most)} at most in the last two minutes`;
  by("live-curve").setAttribute("aria-label", `Events a second: ${figure(now)} now, ${figure(most)} at most in the last two minutes`);
  by("live-curve").replaceChildren(
    svg("path", { class: "area", d: `${line}L${WIDTH} ${HEIGHT}L${x(0).toFixed(1)} ${HEIGHT}Z` }),
    svg("path", { class: "line", d: line }));
}

function drawNewest(events) {
  const rows = events.map((one) => make("li", {},
    make("time", { datetime: one.at }, clock(one.at)),
    make("span", { class: "badge" }, one.kind),
    make("span", { class: "name" }, nameOf(one)),
    make("small", {}, `user ${one.user}`)));
  by("live-newest").replaceChildren(...(rows.length ? rows : [make("li", { class: "muted" }, "No event has arrived yet.")]));
}

function drawArms(arms) {
  const rows = Object.values(arms).map((one) => {
    const meter = make("i");
    meter.style.width = `${Math.min(100, 100 * one.ctr)}%`;
    return make("tr", {},
      make("th", { scope: "row" }, one.arm.replace("scenario:", ""), one.experiment ? make("small", {}, one.experiment) : null),
      make("td", { class: "number" }, figure(one.shown)),
      make("td", { class: "number" }, figure(one.clicked)),
      make("td", { class: "number" }, percent(one.ctr), make("div", { class: "meter" }, meter)));
  });
  if (!rows.length) {
    by("live-arms").replaceChildren(make("p", { class: "muted" }, "No impression has been reported yet."));
    return;
  }
  const names = ["Arm or list", "Shown", "Clicked", "Click rate"];
  by("live-arms").replaceChildren(make("table", {},
    make("thead", {}, make("tr", {}, ...names.map((name, place) => make("th", { scope: "col", class: place ? "number" : "" }, name)))),
    make("tbody", {}, ...rows)));
}

function drawStream(stream) {
  by("live-stream").hidden = !stream;
  if (!stream) return;
  by("live-day").textContent = stream.day ?? "beginning";
  by("live-progress").max = Math.max(stream.of, 1);
  by("live-progress").value = stream.done;
  const pace = stream.days_per_second ? `, ${figure(stream.days_per_second)} days a second` : "";
  by("live-stream-words").textContent = `${stream.done} of ${stream.of} days${stream.running ? pace : ", not running"}`;
}

function take(message) {
  state.rates.push(message.events_per_second);
  if (state.rates.length > KEPT) state.rates.shift();
  if (state.paused) return;
  say(message.problem ?? `Connected to release ${message.release}`);
  drawRates();
  drawNewest(message.newest);
  drawArms(message.ctr_by_arm);
  drawStream(message.stream);
  if (state.states !== null && state.states !== message.states_version) showStates();
  state.states = message.states_version;
}

// Server-sent events by fetch: `EventSource` cannot send the key that reads may need.
async function read(signal) {
  const response = await fetch("/v1/live", { headers: api.keyHeader(), signal });
  if (!response.ok) throw new Error((await response.json()).detail);
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let text = "";
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    text += value;
    const parts = text.split("\n\n");
    text = parts.pop();
    for (const part of parts) if (part.startsWith("data: ")) take(JSON.parse(part.slice("data: ".length)));
  }
}

async function watch(signal) {
  while (!signal.aborted) {
    let why = "the connection ended";
    try {
      await read(signal);
    } catch (error) {
      why = error.message;
    }
    if (signal.aborted) return;
    say(`Not connected: ${why}. Trying again …`);
    await new Promise((resolve) => { setTimeout(resolve, AGAIN_MS); });
  }
}

function begin() {
  if (state.watching) return;
  state.watching = new AbortController();
  watch(state.watching.signal);
}

export function leaveLive() {
  state.watching?.abort();
  state.watching = null;
}

export async function showLive() {
  begin();
  await Promise.all([showExperiments(), showStates()]);
}

by("live-pause").addEventListener("click", () => {
  state.paused = !state.paused;
  by("live-pause").setAttribute("aria-pressed", String(state.paused));
  say(state.paused ? "Paused; events are still counted." : "Going on …");
});
document.addEventListener("visibilitychange", () => {
  if (document.hidden) leaveLive();
  else if (!by("live").hidden) begin();
});
