// What the reader has chosen. It lives in the address behind the `#`, which is sent to nobody, so
// a view can be linked, and back and forward work. The key is never part of it.

/** What requests can be narrowed by, in the order of the chips. Beside these there are labels. */
export const FILTERS = {
  provider: "provider",
  model: "model",
  user: "user",
  key: "key",
  team: "team",
  tag: "tag",
  session: "session",
  endpoint: "endpoint",
  status: "status",
  error: "error",
  cache: "cache",
  id: "request",
  from: "from",
  to: "until",
};
export const LABEL = "label.";
/** Each with its name. */
export const WINDOWS = {
  "15m": "15 minutes",
  "1h": "1 hour",
  "6h": "6 hours",
  "1d": "1 day",
  "7d": "7 days",
  "30d": "30 days",
  "90d": "90 days",
};
const FIRST_WINDOW = "1h";

/** `page`: the name of a page; `window`: one of WINDOWS; `filters`: name to value. */
export const state = { page: "", window: FIRST_WINDOW, filters: {} };

const listeners = [];

/** Calls `listener` after each change, with whether another page was opened. */
export function onChange(listener) {
  listeners.push(listener);
}

/** Changes what is chosen; the address follows. A filter of null or "" is dropped. */
export function choose(changes) {
  location.hash = linkTo(changes.page ?? state.page, changes);
}

/** The address of a page with the same choices, or with changed ones. */
export function linkTo(page, changes = {}) {
  const filters = { ...state.filters, ...changes.filters };
  const query = new URLSearchParams();
  const window = changes.window ?? state.window;
  if (window !== FIRST_WINDOW) query.set("window", window);
  for (const [name, value] of Object.entries(filters)) if (value) query.set(name, value);
  return `#/${page}${query.size ? `?${query}` : ""}`;
}

/** Reads the address. */
export function readAddress() {
  const [page, query = ""] = location.hash.replace(/^#\/?/, "").split("?");
  const chosen = new URLSearchParams(query);
  const before = state.page;
  state.page = page || "overview";
  state.window = chosen.get("window") in WINDOWS ? chosen.get("window") : FIRST_WINDOW;
  state.filters = Object.fromEntries(
    [...chosen].filter(([name, value]) => value && (name in FILTERS || name.startsWith(LABEL))),
  );
  for (const listener of listeners) listener(before !== state.page);
}

/** The filters that a page takes: `names` of FILTERS, and `label.` for labels of any name. */
export function filtersFor(names) {
  return Object.fromEntries(
    Object.entries(state.filters).filter(([name]) =>
      names.includes(name.startsWith(LABEL) ? LABEL : name),
    ),
  );
}
