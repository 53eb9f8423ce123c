// What the figures are made of: where answers were found, by model, by user, by status.

import { h } from "../dom.js";
import { count, name, percent, share, short, span, usd } from "../format.js";
import { bar, fillPanel, fillWithFirst, narrowing, nothing, table } from "../table.js";
import { CACHE } from "./figures.js";

const FEW = 5;

/** total: the figures of the whole window; so in the others. */
export function showCache(panel, total) {
  const asked = CACHE.reduce((sum, [field]) => sum + total.cache[field], 0);
  if (!asked)
    return fillPanel(
      panel,
      "",
      nothing("No request looked anything up in the cache. Requests with a prompt that was asked before are answered from it, unless they say no."),
    );
  const found = CACHE.filter(([field]) => total.cache[field]);
  const segments = found.map(([field, , color]) =>
    h("i", { "--share": `${(total.cache[field] / asked) * 100}%`, "--swatch": `var(${color})` }),
  );
  const columns = [
    {
      title: "Found in",
      row: true,
      cell: ([, label, color]) => [
        h("i", { class: "swatch", "aria-hidden": "true", "--swatch": `var(${color})` }),
        label,
      ],
    },
    { title: "Requests", number: true, cell: ([field]) => count(total.cache[field]) },
    { title: "Share", number: true, cell: ([field]) => percent(total.cache[field] / asked) },
  ];
  return fillPanel(
    panel,
    `${usd(total.costSaved)} saved`,
    h("div", { class: "stack", "aria-hidden": "true" }, segments),
    table("Cache tiers", columns, found),
  );
}

/** A share of what went wrong. */
export function wrong(part, whole) {
  return h("span", { class: part ? "bad-text" : "muted" }, percent(share(part, whole)));
}

const REQUESTS = { title: "Requests", number: true, cell: (row) => count(row.requests) };

/** What both tops end with: tokens, cost, and the share of all requests. */
const spent = (total) => [
  {
    title: "Tokens",
    number: true,
    extra: true,
    cell: (row) => short(row.inputTokens + row.outputTokens),
  },
  { title: "Cost", number: true, cell: (row) => usd(row.cost) },
  { title: "Share", extra: true, cell: (row) => bar(row.requests, total.requests) },
];

export function showModels(panel, groups, total) {
  const columns = [
    {
      title: "Model",
      row: true,
      cell: ({ key }) => [
        narrowing("model", key.model),
        h("span", { class: "under" }, name(key.provider, "no provider")),
      ],
    },
    REQUESTS,
    { title: "Failing", number: true, cell: (row) => wrong(row.failedAttempts, row.attempts) },
    { title: "p95", number: true, extra: true, cell: (row) => span(row.latencyMs.p95) },
    ...spent(total),
  ];
  showTop(panel, columns, groups);
}

export function showUsers(panel, groups, total) {
  const columns = [
    { title: "User", row: true, cell: ({ key }) => narrowing("user", key.user) },
    REQUESTS,
    { title: "Errors", number: true, cell: (row) => wrong(row.errors, row.requests) },
    {
      title: "Hits",
      number: true,
      extra: true,
      cell: (row) => percent(share(row.cacheHits, row.requests)),
    },
    ...spent(total),
  ];
  showTop(panel, columns, groups);
}

function showTop(panel, columns, groups) {
  if (!groups.length) {
    fillPanel(panel, "", nothing("None in this window. A longer one may have some."));
    return;
  }
  const caption = panel.querySelector("h2").textContent;
  fillWithFirst(FEW, panel, "", groups, (some) => table(caption, columns, some));
}

const MEANINGS = {
  200: "answered",
  400: "invalid request",
  401: "no key",
  402: "over budget",
  403: "not permitted",
  404: "not found",
  413: "too large",
  422: "invalid request",
  429: "limited",
  500: "proxy’s fault",
  502: "provider failed",
  503: "no provider",
  504: "timed out",
};

export function showStatuses(panel, groups, total) {
  const columns = [
    {
      title: "Status",
      row: true,
      cell: ({ key }) => [
        narrowing("status", key.status),
        h("span", { class: "muted" }, ` ${MEANINGS[key.status] ?? ""}`),
      ],
    },
    { title: "Requests", number: true, cell: (row) => count(row.requests) },
    { title: "Share", number: true, cell: (row) => percent(share(row.requests, total.requests)) },
  ];
  showTop(panel, columns, groups);
}

