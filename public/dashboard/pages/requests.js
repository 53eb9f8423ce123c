// The request log: newest first, growing at its top while it is watched, older pages on demand.

import { download, get } from "../api.js";
import { h, replace } from "../dom.js";
import { loadDetail } from "../requests/detail.js";
import { narrow } from "../requests/narrow.js";
import { COLUMNS, rowOf } from "../requests/row.js";
import { filtersFor, LABEL, linkTo, state } from "../state.js";
import { failure, nothing, skeleton } from "../table.js";

const PAGE = 50;
const MOST = 1_000;

export const page = {
  name: "requests",
  title: "Requests",
  role: "user",
  live: true,
  filters: [
    ...["provider", "model", "user", "key", "team", "tag", "session", "endpoint"],
    ...["status", "error", "cache", "id", "from", "to", LABEL],
  ],
  mount,
  refresh,
};

let rows = []; // as rowOf makes them, newest first
let next = null;
let shownFor = "";
let body = null;
let older = null;
let context = null;

function mount(root, its) {
  context = its;
  body = h("div");
  const button = (id, onclick, text) => h("button", { type: "button", id, onclick }, text);
  older = button("older", more, "Load older requests");
  older.hidden = true;
  root.append(
    narrow(button("export", save, "Export CSV")),
    h("div", { class: "card log" }, body, h("p", { class: "more" }, older)),
  );
}

/** Reads the newest page and shows it above what is there. */
async function refresh(signal) {
  const asked = JSON.stringify(query());
  if (asked !== shownFor) {
    replace(body, skeleton(8));
    older.hidden = true;
  }
  try {
    const read = await get("/analytics/requests", { limit: PAGE, ...query() }, { signal });
    const fresh = read.requests.filter(unseen);
    const joined = asked === shownFor && fresh.length < read.requests.length;
    if (joined) rows = [...fresh.map(entry), ...rows].slice(0, MOST);
    else [rows, next] = [read.requests.map(entry), read.next];
    shownFor = asked;
    draw();
    if (!joined && state.filters.id && rows.length === 1) rows[0].open();
  } catch (error) {
    if (error.name !== "AbortError" && error.status !== 401 && shownFor !== asked)
      replace(body, failure(error, context.again));
    throw error;
  }
}

async function more() {
  try {
    const asked = { limit: PAGE, ...query(), cursor: next };
    const read = await get("/analytics/requests", asked);
    rows.push(...read.requests.filter(unseen).map(entry));
    next = read.next;
    draw();
  } catch (error) {
    context.trouble(error);
  }
}

async function save({ target }) {
  target.disabled = true;
  try {
    await download("/analytics/requests", { ...query(), format: "csv" }, "requests.csv");
    context.say("The requests are saved as requests.csv.");
  } catch (error) {
    context.trouble(error);
  } finally {
    target.disabled = false;
  }
}

function query() {
  return filtersFor(page.filters);
}

function unseen({ requestId }) {
  return !rows.some((row) => row.id === requestId);
}

function entry(told) {
  return rowOf(told, (place) => loadDetail(place, told, context));
}

function draw() {
  older.hidden = next === null || rows.length >= MOST;
  if (!rows.length) {
    replace(body, none());
    return;
  }
  if (!body.querySelector(".requests")) replace(body, emptyTable());
  replace(
    body.querySelector("tbody"),
    rows.flatMap(({ line, facts }) => [line, facts]),
  );
}

function none() {
  if (next !== null)
    return nothing("None of the newest requests match. Load older ones to look further back.");
  if (Object.keys(query()).length)
    return nothing("No request in the log matches. Remove a filter to see more.");
  return nothing(
    "No request yet. They appear here as they end: ",
    h("a", { href: linkTo("playground") }, "send one from the playground"),
    ".",
  );
}

function emptyTable() {
  const head = COLUMNS.map(([title, style]) => h("th", { scope: "col", class: style }, title));
  return h(
    "div",
    { class: "scroll", tabindex: "0", role: "group", "aria-label": "Request log" },
    h(
      "table",
      { class: "requests" },
      h("caption", { class: "unseen" }, "Requests, newest first"),
      h("thead", {}, h("tr", {}, head)),
      h("tbody"),
    ),
  );
}
