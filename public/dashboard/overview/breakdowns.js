// What the figures are made of: where answers were found, by model, by user, by status.

import { h } from "../dom.js";
import { count, name, percent, share, short, span, usd } from "../format.js";
import { bar, fillPanel, narrowing, nothing, table } from "../table.js";
import { CACHE } from "./figures.js";

const FEW = 5;
const whole = new Set(); // the tables that the reader has opened

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

const failed = (row) =>
  h("span", { class: row.errors ? "bad-text" : "muted" }, percent(share(row.errors, row.requests)));

const ASKED = [
  { title: "Requests", number: true, cell: (row) => count(row.requests) },
  { title: "Errors", number: true, cell: failed },
];

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
    ...ASKED,
    { title: "p95", number: true, extra: true, cell: (row) => span(row.latencyMs.p95) },
    ...spent(total),
  ];
  showTop(panel, "models", columns, groups);
}

export function showUsers(panel, groups, total) {
  const columns = [
    { title: "User", row: true, cell: ({ key }) => narrowing("user", key.user) },
    ...ASKED,
    {
      title: "Hits",
      number: true,
      extra: true,
      cell: (row) => percent(share(row.cacheHits, row.requests)),
    },
    ...spent(total),
  ];
  showTop(panel, "users", columns, groups);
}

/** The first few, and the others on request. */
function showTop(panel, kind, columns, groups) {
  if (!groups.length) {
    fillPanel(panel, "", nothing("None in this window. A longer one may have some."));
    return;
  }
  const caption = panel.querySelector("h2").textContent;
  const draw = () => {
    const all = whole.has(kind);
    const rest = groups.length - FEW;
    const more = h(
      "button",
      {
        type: "button",
        class: "quiet",
        "aria-expanded": String(all),
        "data-focus": `more:${kind}`,
        onclick: () => {
          if (!whole.delete(kind)) whole.add(kind);
          draw();
        },
      },
      all ? "Show fewer" : `Show ${rest} more`,
    );
    fillPanel(
      panel,
      "",
      table(caption, columns, all ? groups : groups.slice(0, FEW)),
      rest > 0 && h("p", { class: "more" }, more),
    );
  };
  draw();
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
  showTop(panel, "statuses", columns, groups);
}

