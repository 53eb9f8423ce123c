// The request log: newest first, growing at its top while it is watched, older pages on demand.

import { get } from "./api.js";
import { at, badge, h, icon, replace } from "./dom.js";
import { bytes, count, moment, name, percent, share, span, usd, UNKNOWN } from "./format.js";
import { choose, state } from "./state.js";
import { failure, narrowing, nothing } from "./tables.js";

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

const form = () => at("log-filters");
const body = () => at("view-requests").querySelector("[data-body]");
let rows = []; // { id, told, line, facts }, newest first
let next = null;
let shownFor = "";

/** Wires the view. `again` reads anew; `fail(error)` tells of what could not be read. */
export function prepare(again, fail) {
  form().elements.error.append(...ERRORS.map((type) => h("option", {}, type)));
  form().addEventListener("submit", (event) => event.preventDefault());
  form().addEventListener("change", ({ target }) => {
    if (!form().reportValidity()) return;
    if (target.name === "status") choose({ filters: { status: target.value } });
    else again();
  });
  at("older").addEventListener("click", async () => {
    try {
      const page = await get("/analytics/requests", { ...query(), cursor: next });
      rows.push(...page.requests.filter(unseen).map(entry));
      next = page.next;
      draw();
    } catch (error) {
      fail(error);
    }
  });
}

/** Reads the newest page and shows it above what is there. */
export async function read(signal, again) {
  if (document.activeElement !== form().elements.status)
    form().elements.status.value = state.filters.status ?? "";
  const asked = JSON.stringify(query());
  if (asked !== shownFor) {
    replace(
      body(),
      h(
        "div",
        { class: "lines" },
        Array.from({ length: 8 }, () => h("span", { class: "skeleton line" })),
      ),
    );
    at("older").hidden = true;
  }
  try {
    const page = await get("/analytics/requests", query(), { signal });
    const fresh = page.requests.filter(unseen);
    const joined = asked === shownFor && fresh.length < page.requests.length;
    if (joined) rows = [...fresh.map(entry), ...rows].slice(0, MOST);
    else [rows, next] = [page.requests.map(entry), page.next];
    shownFor = asked;
    draw();
  } catch (error) {
    if (error.name !== "AbortError" && error.status !== 401 && shownFor !== asked)
      replace(body(), failure(error, again));
    throw error;
  }
}

function query() {
  return {
    limit: PAGE,
    ...state.filters,
    cache: form().elements.cache.value,
    error: form().elements.error.value,
  };
}

function unseen({ requestId }) {
  return !rows.some((row) => row.id === requestId);
}

function draw() {
  at("older").hidden = next === null || rows.length >= MOST;
  if (!rows.length) {
    return replace(
      body(),
      nothing("No request matches. They appear here as they end; send one from the playground."),
    );
  }
  if (!body().querySelector(".requests")) replace(body(), emptyTable());
  return replace(
    body().querySelector("tbody"),
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

/** The attempts one below the other, each with its share of the longest. */
export function attempts(tries) {
  const longest = Math.max(...tries.map((a) => a.ms), 1);
  const items = tries.map((a) =>
    h(
      "li",
      {},
      h("span", { class: "name" }, `${a.provider} / ${a.model}`),
      badge(a.outcome === "ok" ? "ok" : "bad", [a.outcome, a.status].filter(Boolean).join(" ")),
      h("span", {
        class: "meter",
        "aria-hidden": "true",
        "--share": percent(share(a.ms, longest)),
      }),
      h("span", { class: "number" }, span(a.ms)),
      a.replaces && h("span", { class: "under" }, `in the place of ${a.replaces}, which has ended`),
      a.message && h("span", { class: "under" }, a.message),
    ),
  );
  return h(
    "div",
    {},
    h("p", { class: "title" }, "Attempts"),
    h("ol", { class: "attempts" }, items),
  );
}
