// The figures and the panels that break them down.

import { get } from "./api.js";
import { at, badge, h } from "./dom.js";
import { CACHE, prepareFigures, showFigures } from "./figures.js";
import { count, name, percent, share, short, span, usd } from "./format.js";
import { showLimits, showProviders } from "./providers.js";
import { state, WINDOWS } from "./state.js";
import { bar, failure, fillPanel, narrowing, nothing, table, waiting } from "./tables.js";

const LISTED = 8;
const SLOW_EVERY = 60_000; // what changes slowly, or asks many objects, is not read at each refresh

let slowAt = 0;
let slowFor = "";

/** Puts the empty view into the page. */
export function prepare() {
  prepareFigures();
  for (const id of ["providers", "cache", "models", "users", "insights", "limits", "statuses"])
    waiting(at(id));
}

/** Reads and shows everything; returns when all is shown. Each panel tells of its own trouble. */
export async function read(signal, asked, { admin, again }) {
  const base = { window: state.window, ...state.filters };
  const figures = (extra) => get("/analytics", { ...base, ...extra }, { signal });
  const health = get("/health/providers", {}, { signal });
  const main = figures({ step: WINDOWS[state.window].step, group_by: "provider" });
  const by = (dimensions) => figures({ group_by: dimensions });
  const guard = (id, load, show) => settle(at(id), load, show, again);

  const shown = [
    settle(null, main, showFigures),
    guard("cache", main, ({ total }) => showCache(total)),
    guard("providers", Promise.all([health, main.catch(() => null)]), ([seen, told]) =>
      showProviders(at("providers"), seen, told),
    ),
    guard("models", by("provider,model"), showModels),
    guard("users", by("user"), showUsers),
    guard("statuses", by("status"), showStatuses),
  ];
  const slow = `${state.window} ${admin}`;
  if (asked || slow !== slowFor || Date.now() - slowAt > SLOW_EVERY) {
    const insights = get("/analytics/insights", { window: state.window }, { signal });
    shown.push(guard("insights", insights, showInsights), readLimits(health, signal, admin, guard));
    [slowFor, slowAt] = [slow, Date.now()];
  }
  const [figuresFailed, ...failures] = await Promise.all(shown);
  const unreachable = failures.find((error) => error?.status === 0);
  if (figuresFailed || unreachable) throw figuresFailed ?? unreachable;
}

/**
 * Shows what `load` brings, or its failure. Resolves to that failure: others go on. Where nobody
 * answers, what was shown before stays.
 */
async function settle(panel, load, show, again) {
  try {
    show(await load);
    return null;
  } catch (error) {
    if (error.name === "AbortError" || error.status === 401) throw error;
    if (error.status === undefined) console.error(error);
    const keep = error.status === 0 && panel && !panel.hasAttribute("aria-busy");
    if (panel && !keep) fillPanel(panel, "", failure(error, again));
    return error;
  }
}

function readLimits(health, signal, admin, guard) {
  if (!admin) {
    fillPanel(
      at("limits"),
      "",
      nothing("Limits are shown to operators: sign in with the admin token."),
    );
    return null;
  }
  const pools = health.then(({ providers }) =>
    Promise.all(
      providers
        .filter((p) => p.configured)
        .map(async ({ name: provider }) => ({
          provider,
          ...(await get("/admin/limits", { provider }, { signal })),
        })),
    ),
  );
  return guard("limits", pools, (all) => showLimits(at("limits"), all));
}

function showCache(total) {
  const asked = CACHE.reduce((sum, [field]) => sum + total.cache[field], 0);
  if (!asked)
    return fillPanel(
      at("cache"),
      "",
      nothing("Nothing was looked up in the cache in this window."),
    );
  const segments = CACHE.filter(([field]) => total.cache[field]).map(([field, , color]) =>
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
    at("cache"),
    `${usd(total.costSaved)} saved`,
    h("div", { class: "stack", "aria-hidden": "true" }, segments),
    table("Cache tiers", columns, CACHE),
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

function showModels({ groups, total }) {
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
    { title: "p95", number: true, cell: (row) => span(row.latencyMs.p95) },
    ...spent(total),
  ];
  showTop("models", "Top models", columns, groups);
}

function showUsers({ groups, total }) {
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
  showTop("users", "Top users", columns, groups);
}

function showTop(id, title, columns, groups) {
  if (!groups.length) return fillPanel(at(id), "", nothing("None in this window."));
  const more = groups.length > LISTED ? `${LISTED} of ${count(groups.length)}` : "";
  return fillPanel(at(id), more, table(title, columns, groups.slice(0, LISTED)));
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

function showStatuses({ groups, total }) {
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
  showTop("statuses", "Answers by status", columns, groups);
}

const SEVERITIES = {
  info: ["info", "Info"],
  notice: ["warn", "Notice"],
  warning: ["bad", "Warning"],
};

function showInsights({ insights, sample }) {
  if (!insights.length) {
    return fillPanel(
      at("insights"),
      "",
      nothing("No conclusion yet. They need some traffic: try a longer window."),
    );
  }
  const amount = ({ value, unit }) =>
    unit === "USD"
      ? usd(value)
      : unit === "ms"
        ? span(value)
        : unit === "%"
          ? `${short(value)}%`
          : `${short(value)} ${unit}`;
  const list = insights.map((insight, i) => {
    const [kind, word] = SEVERITIES[insight.severity] ?? SEVERITIES.info;
    const evidence = Object.entries(insight.evidence ?? {}).map(([label, value]) => [
      h("dt", {}, label),
      h(
        "dd",
        {},
        typeof value === "number"
          ? short(value)
          : typeof value === "string"
            ? value
            : JSON.stringify(value),
      ),
    ]);
    return h(
      "li",
      {},
      h(
        "details",
        { "data-focus": `insight:${insight.id}:${i}` },
        h(
          "summary",
          {},
          badge(kind, word),
          h("span", { class: "claim" }, insight.title),
          insight.amount && h("b", {}, amount(insight.amount)),
        ),
        h(
          "dl",
          { class: "facts" },
          evidence,
          h("dt", {}, "confidence"),
          h("dd", {}, percent(insight.confidence)),
        ),
      ),
    );
  });
  return fillPanel(
    at("insights"),
    `from ${count(sample.requests)} requests`,
    h("ul", { class: "insights" }, list),
  );
}
