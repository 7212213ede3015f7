// Calls of the HTTP API. A newer call of the same kind cancels the older one.

const running = new Map();

// The key that a person typed in is kept by this tab alone, and sent in a header, which no log has.
const KEY = "recsys-key";
export const hasKey = () => Boolean(sessionStorage.getItem(KEY));
export const useKey = (key) => sessionStorage.setItem(KEY, key);
export const forgetKey = () => sessionStorage.removeItem(KEY);
export const keyHeader = () => (hasKey() ? { "x-api-key": sessionStorage.getItem(KEY) } : {});

async function call(kind, path, options = {}) {
  running.get(kind)?.abort();
  const controller = new AbortController();
  running.set(kind, controller);
  const headers = { ...options.headers, ...keyHeader() };
  const response = await fetch(path, { ...options, headers, signal: controller.signal });
  const body = await response.json();
  if (!response.ok) {
    const error = new Error(body.detail || body.title);
    error.status = response.status;
    throw error;
  }
  return body;
}

const send = (method, kind, path, body) =>
  call(kind, path, { method, headers: { "content-type": "application/json" }, body: JSON.stringify(body) });
const post = (kind, path, body) => send("POST", kind, path, body);

const query = (values) => {
  const parts = new URLSearchParams();
  for (const [name, value] of Object.entries(values)) if (value !== "" && value != null) parts.set(name, value);
  return parts.size ? `?${parts}` : "";
};

export const wasOvertaken = (error) => error.name === "AbortError";

export const users = (q, limit = 20) => call("users", `/v1/users${query({ q, limit })}`);
export const items = (q) => call("items", `/v1/items${query({ q, limit: 20 })}`);
export const categories = () => call("categories", "/v1/categories");
export const release = () => call("release", "/v1/release");
export const releases = () => call("releases", "/v1/releases");
export const moves = () => call("moves", "/v1/releases/history");
export const difference = (before, after) =>
  call("difference", `/v1/releases/${encodeURIComponent(before)}/diff/${encodeURIComponent(after)}`);
export const history = (user, k = 200) => call("history", `/v1/users/${encodeURIComponent(user)}/history${query({ k })}`);
export const similar = (item, k) => call("list", `/v1/items/${encodeURIComponent(item)}/similar${query({ k })}`);
const filters = ({ k, category, seen, scenario, diversity }) =>
  ({ k, category, include_seen: seen || "", scenario, diversity });
const path = (user) => `/v1/users/${encodeURIComponent(user)}/recommendations`;

export const forUser = (user, wanted) => call("list", `${path(user)}${query({ ...filters(wanted), explain: true })}`);
export const whyItem = (user, itemId, wanted) =>
  call("why", `${path(user)}/why${query({ ...filters(wanted), item_id: itemId })}`);

const session = (itemIds, { k, category, seen, scenario, diversity }, extra) => ({
  item_ids: itemIds, k, category: category || null, include_seen: seen, scenario, diversity: diversity ?? null, ...extra });
export const forSession = (itemIds, wanted) => post("list", "/v1/recommendations", session(itemIds, wanted, { explain: true }));
export const explainSession = (itemIds, wanted) =>
  post("why", "/v1/recommendations", session(itemIds, wanted, { explain: true }));
export const scenarios = () => call("scenarios", "/v1/scenarios");
export const quality = () => call("quality", "/v1/quality?days=60");
export const popular = ({ k, category }) => call("list", `/v1/popular${query({ k, category })}`);
export const prices = (ids) => post("prices", "/v1/features:batchGet", { entity: "item", ids, names: ["item_id", "price"] });
export const experiments = () => call("experiments", "/v1/experiments");
export const experiment = (name) => call("experiment", `/v1/experiments/${encodeURIComponent(name)}`);
const stateOf = (item) => `/v1/items/${encodeURIComponent(item)}/state`;
export const itemState = (item) => call("state", stateOf(item));
export const setItemState = (item, change) => send("PUT", "set-state", stateOf(item), change);
export const takeBackState = (item, why) => call("set-state", `${stateOf(item)}${query({ why })}`, { method: "DELETE" });
export const stateLog = (item) => call("state-log", `/v1/item-states/log${query({ item_id: item, limit: 30 })}`);
