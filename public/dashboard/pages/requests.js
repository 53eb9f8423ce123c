// The request log: newest first, growing at its top while it is watched, older pages on demand.

import { get } from "../api.js";
import { h, icon, replace } from "../dom.js";
import { bytes, count, moment, name, span, usd, UNKNOWN } from "../format.js";
import { badge } from "../pill.js";
import { attempts } from "../requests/attempts.js";
import { choose, filtersFor, state } from "../state.js";
import { failure, narrowing, nothing, skeleton } from "../table.js";

const PAGE = 50;
const MOST = 1_000;
const ERRORS = [
  "invalid_request",
  "authentication_failed",
  "permission_denied",
  "budget_exceeded",
  "not_found",
  "payload_too_large",
  "rate_limit_exceeded",
  "provider_error",
  "no_provider_available",
  "provider_timeout",
  "internal_error",
];
const COLUMNS = [
  ["Time"],
  ["Status"],
  ["User", "extra"],
  ["Model"],
  ["Cache", "extra"],
  ["Tokens", "number extra"],
  ["Cost", "number extra"],
  ["Latency", "number"],
];

let rows = []; // { id, told, line, facts }, newest first
let next = null;
let shownFor = "";

let body = null;
let older = null;
let statusField = null;
let context = null;

export const page = {
  name: "requests",
  title: "Requests",
  role: "user",
  live: true,
  filters: ["provider", "model", "user", "session", "endpoint", "status", "error", "cache"],
  mount,
  refresh,
};

function mount(root, its) {
  context = its;
  body = h("div");
  older = h("button", { type: "button", id: "older", hidden: true, onclick: more }, "Load older requests");
  root.append(h("div", { class: "card log" }, h("header", {}, narrow()), body, h("p", { class: "more" }, older)));
}

function narrow() {
  const pick = (name, values) =>
    h(
      "select",
      { name, onchange: ({ target }) => choose({ filters: { [name]: target.value } }) },
      h("option", { value: "" }, "any"),
      values.map((value) => h("option", {}, value)),
    );
  statusField = h("input", {
    name: "status", inputmode: "numeric", pattern: "[1-5][0-9]{2}", maxlength: 3, size: 4, placeholder: "any",
    onchange: ({ target }) => target.reportValidity() && choose({ filters: { status: target.value } }),
  });
  return h(
    "form",
    { id: "log-filters", class: "row", "aria-label": "Narrow the log", onsubmit: (event) => event.preventDefault() },
    h("label", {}, "Status", statusField),
    h("label", {}, "Cache", pick("cache", ["hit", "miss", "bypass", "stale"])),
    h("label", {}, "Error", pick("error", ERRORS)),
  );
}

async function more() {
  try {
    const read = await get("/analytics/requests", { ...query(), cursor: next });
    rows.push(...read.requests.filter(unseen).map(entry));
    next = read.next;
    draw();
  } catch (error) {
    context.trouble(error);
  }
}

/** Reads the newest page and shows it above what is there. */
async function refresh(signal) {
  if (document.activeElement !== statusField) statusField.value = state.filters.status ?? "";
  const asked = JSON.stringify(query());
  if (asked !== shownFor) {
    replace(body, skeleton(8));
    older.hidden = true;
  }
  try {
    const read = await get("/analytics/requests", query(), { signal });
    const fresh = read.requests.filter(unseen);
    const joined = asked === shownFor && fresh.length < read.requests.length;
    if (joined) rows = [...fresh.map(entry), ...rows].slice(0, MOST);
    else [rows, next] = [read.requests.map(entry), read.next];
    shownFor = asked;
    draw();
  } catch (error) {
    if (error.name !== "AbortError" && error.status !== 401 && shownFor !== asked)
      replace(body, failure(error, context.again));
    throw error;
  }
}

function query() {
  return { limit: PAGE, ...filtersFor(page.filters) };
}

function unseen({ requestId }) {
  return !rows.some((row) => row.id === requestId);
}

function draw() {
  older.hidden = next === null || rows.length >= MOST;
  if (!rows.length) {
    return replace(
      body,
      nothing("No request matches. They appear here as they end; send one from the playground."),
    );
  }
  if (!body.querySelector(".requests")) replace(body, emptyTable());
  return replace(
    body.querySelector("tbody"),
    rows.flatMap(({ line, facts }) => [line, facts]),
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

/** The two rows of a request: one to see, one to open. */
function entry(told) {
  const facts = h("tr", { class: "facts-row", hidden: true, id: `facts-${told.requestId}` });
  const toggle = h(
    "button",
    {
      type: "button",
      class: "link disclose",
      "aria-expanded": "false",
      "aria-controls": facts.id,
      "data-focus": told.requestId,
      onclick: () => {
        const open = facts.hidden;
        if (open && !facts.firstChild)
          facts.append(h("td", { colspan: COLUMNS.length }, details(told)));
        facts.hidden = !open;
        toggle.setAttribute("aria-expanded", String(open));
      },
    },
    icon("right"),
    h("time", { datetime: told.at }, moment(Date.parse(told.at))),
  );
  const first =
    told.firstMs === null ? null : h("span", { class: "under" }, `first ${span(told.firstMs)}`);
  const cells = [
    h("th", { scope: "row" }, toggle),
    h("td", {}, status(told)),
    h("td", { class: "extra" }, narrowing("user", told.user)),
    h("td", {}, model(told)),
    h("td", { class: "extra" }, cache(told)),
    h("td", { class: "number extra" }, told.usage ? count(told.usage.totalTokens) : UNKNOWN),
    h("td", { class: "number extra" }, usd(told.cost)),
    h("td", { class: "number" }, span(told.ms), first),
  ];
  return { id: told.requestId, line: h("tr", {}, cells), facts };
}

/** Who answered; else what was asked for, and where. */
function model({ model: answered, provider, asked, endpoint }) {
  if (answered) return [narrowing("model", answered), h("span", { class: "under" }, provider)];
  return [asked && h("span", { class: "asked" }, asked), h("span", { class: "under" }, endpoint)];
}

function status({ status: code, error, ended }) {
  const broken = ended !== null && ended !== "ok" && ended !== "client_gone";
  const kind = code >= 500 || broken ? "bad" : code >= 400 ? "warn" : "ok";
  const word = error ?? (ended === "client_gone" ? "client gone" : null);
  return [badge(kind, code), word && h("span", { class: "under" }, word)];
}

function cache({ cache: found, tier }) {
  if (!found) return h("span", { class: "muted" }, UNKNOWN);
  const kind = { hit: "ok", stale: "warn", miss: "plain", bypass: "plain" }[found] ?? "plain";
  return h("span", { class: `tag ${kind}` }, tier ? `${found} · ${tier}` : found);
}

function details(told) {
  const { usage } = told;
  const facts = [
    ["Request", told.requestId],
    ["Endpoint", [told.method, told.endpoint].filter(Boolean).join(" ")],
    ["Dialect", told.dialect],
    ["Asked for", told.asked],
    ["Strategy", told.strategy],
    ["User", told.user],
    ["Key", told.keyId],
    ["Error", [told.error, told.source && `by ${told.source}`].filter(Boolean).join(" ")],
    ["Stream", told.stream ? name(told.ended, "yes") : "no"],
    ["Tokens", usage && tokens(usage)],
    [
      "Cost",
      told.cost === null ? null : [usd(told.cost), told.costOrigin].filter(Boolean).join(" "),
    ],
    ["Saved", told.costSaved ? usd(told.costSaved) : null],
    ["Bytes", `${bytes(told.bytesIn)} in, ${bytes(told.bytesOut)} out`],
    ["Place", [told.country, told.colo].filter(Boolean).join(" ")],
    ["Session", told.session],
    ["Trace", told.traceId],
  ].filter(([, value]) => value);
  const list = h(
    "dl",
    { class: "facts" },
    facts.map(([label, value]) => [h("dt", {}, label), h("dd", {}, value)]),
  );
  return h(
    "div",
    { class: "facts-body" },
    list,
    told.attempts.length ? attempts(told.attempts) : null,
  );
}

function tokens({ inputTokens, outputTokens, cachedTokens, reasoningTokens }) {
  const cached = cachedTokens ? ` (${count(cachedTokens)} cached)` : "";
  const reasoning = reasoningTokens ? ` (${count(reasoningTokens)} reasoning)` : "";
  return `${count(inputTokens)} in${cached}, ${count(outputTokens)} out${reasoning}`;
}
