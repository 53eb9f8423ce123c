// What the reader has chosen. It lives in the address behind the `#`, which is sent to nobody, so
// a view can be linked, and back and forward work. The key is never part of it.

export const VIEWS = ["overview", "requests", "playground"];
export const DIMENSIONS = ["provider", "model", "user", "endpoint", "status"];
export const WINDOWS = {
  "15m": { step: "1m", name: "15 minutes" },
  "1h": { step: "1m", name: "1 hour" },
  "6h": { step: "5m", name: "6 hours" },
  "1d": { step: "15m", name: "1 day" },
  "7d": { step: "2h", name: "7 days" },
  "30d": { step: "6h", name: "30 days" },
  "90d": { step: "1d", name: "90 days" },
};

export const state = { view: "overview", window: "1h", filters: {} };

const listeners = [];

/** Calls `listener` after each change, with whether another view was opened. */
export function onChange(listener) {
  listeners.push(listener);
}

/** Changes what is chosen; the address follows. A filter of null is dropped. */
export function choose(changes) {
  const filters = { ...state.filters, ...changes.filters };
  const next = { ...state, ...changes, filters };
  const query = new URLSearchParams();
  if (next.window !== "1h") query.set("window", next.window);
  for (const name of DIMENSIONS) {
    if (filters[name]) query.set(name, filters[name]);
  }
  location.hash = `#/${next.view}${query.size ? `?${query}` : ""}`;
}

/** The address of another view with the same choices. */
export function linkTo(view) {
  const query = location.hash.split("?")[1];
  return `#/${view}${query ? `?${query}` : ""}`;
}

/** Reads the address. */
export function readAddress() {
  const [path, query = ""] = location.hash.replace(/^#\/?/, "").split("?");
  const chosen = new URLSearchParams(query);
  const before = state.view;
  state.view = VIEWS.includes(path) ? path : "overview";
  state.window = chosen.get("window") in WINDOWS ? chosen.get("window") : "1h";
  state.filters = {};
  for (const name of DIMENSIONS) {
    if (chosen.get(name)) state.filters[name] = chosen.get(name);
  }
  for (const listener of listeners) listener(before !== state.view);
}
