// The figures: tiles, plots, and the panels that break them down.

import { get } from "./api.js";
import { chart, sparkline } from "./charts.js";
import { at, badge, h, replace } from "./dom.js";
import { count, name, percent, share, short, span, usd, UNKNOWN } from "./format.js";
import { showLimits, showProviders } from "./providers.js";
import { state, WINDOWS } from "./state.js";
import { bar, failure, fillPanel, narrowing, nothing, table, waiting } from "./tables.js";

const SHADES = ["--c1", "--c2", "--c3", "--c4", "--c5", "--c6", "--c7", "--c8"];
const LISTED = 8;
const SLOW_EVERY = 60_000; // what changes slowly, or asks many objects, is not read at each refresh

const plots = {
  outcome: chart({ title: "Requests", kind: "bars", format: short }),
  latency: chart({ title: "Latency", kind: "lines", format: span }),
  provider: chart({ title: "Requests by provider", kind: "bars", format: short }),
  tokens: chart({ title: "Tokens", kind: "bars", format: short }),
  cost: chart({ title: "Cost and savings", kind: "bars", format: usd }),
  cache: chart({ title: "Cache", kind: "bars", format: short }),
};
let slowAt = 0;
let slowFor = "";

/** Puts the empty view into the page. */
export function prepare() {
  at("charts").append(...Object.values(plots).map((plot) => plot.element));
  at("tiles").append(...Array.from({ length: 8 }, () => h("div", { class: "tile skeleton", role: "listitem" }, "\u00a0")));
  for (const id of ["providers", "cache", "models", "users", "insights", "limits", "statuses"]) waiting(at(id));
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
    guard("providers", Promise.all([health, main.catch(() => null)]), ([seen, told]) => showProviders(at("providers"), seen, told)),
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
    fillPanel(at("limits"), "", nothing("Limits are shown to operators: sign in with the admin token."));
    return null;
  }
  const pools = health.then(({ providers }) =>
    Promise.all(providers.filter((p) => p.configured).map(async ({ name: provider }) => ({
      provider, ...(await get("/admin/limits", { provider }, { signal })),
    }))),
  );
  return guard("limits", pools, (all) => showLimits(at("limits"), all));
}

function showFigures(told) {
  const { total } = told;
  const empty = total.requests === 0;
  at("empty").hidden = !empty;
  at("view-overview").classList.toggle("without", empty);
  replace(at("tiles"), tiles(total));
  if (empty) return;
  const series = total.series ?? [];
  const picture = { at: series.map((s) => Date.parse(s.at)), step: told.step };
  const line = (label, color, pick) => ({ label, color, values: series.map(pick), total: pick(total) });
  const show = (plot, ...lines) => plots[plot].show({ ...picture, series: lines });
  const served = (f) => Math.max(0, f.requests - f.errors - f.cacheHits);

  show("outcome", line("from providers", "--c1", served), line("from cache", "--c2", (f) => f.cacheHits),
    line("failed", "--bad", (f) => f.errors - f.limited), line("limited", "--warn", (f) => f.limited));
  show("latency", line("p50", "--c2", (f) => f.latencyMs.p50), line("p95", "--c1", (f) => f.latencyMs.p95),
    line("p99", "--c5", (f) => f.latencyMs.p99));
  show("tokens", line("input", "--c1", (f) => f.inputTokens), line("output", "--c3", (f) => f.outputTokens));
  show("cost", line("spent", "--c1", (f) => f.cost), line("saved by the cache", "--c2", (f) => f.costSaved));
  const found = CACHE.filter(([field]) => total.cache[field] || field === "miss");
  show("cache", ...found.map(([field, label, color]) => line(label, color, (f) => f.cache[field])));
  plots.provider.show({ ...picture, series: byProvider(told.groups) });
}

/** The busiest providers each for themselves, the rest together. */
function byProvider(groups) {
  const lines = groups.slice(0, SHADES.length - 1).map((group, i) => ({
    label: name(group.key.provider, "none"),
    color: SHADES[i],
    values: (group.series ?? []).map((s) => s.requests),
    total: group.requests,
  }));
  const rest = groups.slice(SHADES.length - 1);
  if (rest.length) {
    const values = rest[0].series.map((_, i) => rest.reduce((sum, g) => sum + g.series[i].requests, 0));
    lines.push({ label: "others", color: SHADES.at(-1), values, total: rest.reduce((sum, g) => sum + g.requests, 0) });
  }
  return lines;
}

function tiles(total) {
  const series = total.series ?? [];
  const tile = (title, value, detail, pick, kind = "") =>
    h("div", { class: `tile ${kind}`, role: "listitem" },
      h("h2", {}, title), h("p", { class: "value" }, value), h("p", { class: "detail" }, detail),
      pick && sparkline(series.map(pick)));
  const wrong = share(total.errors, total.requests);
  const would = total.cost + total.costSaved;
  const { latencyMs: latency, firstTokenMs: first } = total;
  return [
    tile("Requests", short(total.requests), `${count(total.fallbacks)} by fallback`, (f) => f.requests),
    tile("Errors", percent(wrong), `${count(total.errors)} failed, ${count(total.limited)} limited`,
      (f) => f.errors, wrong > 0.05 ? "alarming" : ""),
    tile("Latency p50", span(latency.p50), `p95 ${span(latency.p95)}, p99 ${span(latency.p99)}`, (f) => f.latencyMs.p50),
    tile("First token p50", span(first.p50), `p95 ${span(first.p95)}`, (f) => f.firstTokenMs.p50),
    tile("Tokens", short(total.inputTokens + total.outputTokens),
      `${short(total.inputTokens)} in, ${short(total.outputTokens)} out`, (f) => f.inputTokens + f.outputTokens),
    tile("Cost", usd(total.cost), costDetail(total), (f) => f.cost),
    tile("Saved", usd(total.costSaved), `${percent(share(total.costSaved, would))} of the full cost`, (f) => f.costSaved),
    tile("Cache hits", percent(share(total.cacheHits, total.requests)), `${count(total.cacheHits)} of ${count(total.requests)}`,
      (f) => share(f.cacheHits, f.requests)),
  ];
}

function costDetail({ cost, requests, unpriced }) {
  if (unpriced) return `${count(unpriced)} without a price`;
  return requests ? `${usd((cost / requests) * 1_000)} per 1,000` : UNKNOWN;
}

const CACHE = [
  ["memory", "memory", "--c2"],
  ["kv", "KV", "--c3"],
  ["r2", "R2", "--c4"],
  ["flight", "shared flight", "--c6"],
  ["stale", "stale", "--warn"],
  ["miss", "miss", "--c1"],
  ["bypass", "bypass", "--c8"],
];

function showCache(total) {
  const asked = CACHE.reduce((sum, [field]) => sum + total.cache[field], 0);
  if (!asked) return fillPanel(at("cache"), "", nothing("Nothing was looked up in the cache in this window."));
  const segments = CACHE.filter(([field]) => total.cache[field]).map(([field, , color]) =>
    h("i", { "--share": `${(total.cache[field] / asked) * 100}%`, "--swatch": `var(${color})` }));
  const columns = [
    { title: "Found in", row: true, cell: ([, label, color]) => [h("i", { class: "swatch", "aria-hidden": "true", "--swatch": `var(${color})` }), label] },
    { title: "Requests", number: true, cell: ([field]) => count(total.cache[field]) },
    { title: "Share", number: true, cell: ([field]) => percent(total.cache[field] / asked) },
  ];
  return fillPanel(at("cache"), `${usd(total.costSaved)} saved`,
    h("div", { class: "stack", "aria-hidden": "true" }, segments), table("Cache tiers", columns, CACHE));
}

const failed = (row) => h("span", { class: row.errors ? "bad-text" : "muted" }, percent(share(row.errors, row.requests)));

function showModels({ groups, total }) {
  const columns = [
    { title: "Model", row: true, cell: ({ key }) => [narrowing("model", key.model), h("span", { class: "under" }, name(key.provider, "no provider"))] },
    { title: "Requests", number: true, cell: (row) => count(row.requests) },
    { title: "Errors", number: true, cell: failed },
    { title: "p95", number: true, cell: (row) => span(row.latencyMs.p95) },
    { title: "Tokens", number: true, extra: true, cell: (row) => short(row.inputTokens + row.outputTokens) },
    { title: "Cost", number: true, cell: (row) => usd(row.cost) },
    { title: "Share", extra: true, cell: (row) => bar(row.requests, total.requests) },
  ];
  showTop("models", "Top models", columns, groups);
}

function showUsers({ groups, total }) {
  const columns = [
    { title: "User", row: true, cell: ({ key }) => narrowing("user", key.user) },
    { title: "Requests", number: true, cell: (row) => count(row.requests) },
    { title: "Errors", number: true, cell: failed },
    { title: "Hits", number: true, extra: true, cell: (row) => percent(share(row.cacheHits, row.requests)) },
    { title: "Tokens", number: true, extra: true, cell: (row) => short(row.inputTokens + row.outputTokens) },
    { title: "Cost", number: true, cell: (row) => usd(row.cost) },
    { title: "Share", extra: true, cell: (row) => bar(row.requests, total.requests) },
  ];
  showTop("users", "Top users", columns, groups);
}

function showTop(id, title, columns, groups) {
  if (!groups.length) return fillPanel(at(id), "", nothing("None in this window."));
  const more = groups.length > LISTED ? `${LISTED} of ${count(groups.length)}` : "";
  return fillPanel(at(id), more, table(title, columns, groups.slice(0, LISTED)));
}

const MEANINGS = {
  200: "answered", 400: "invalid request", 401: "no key", 402: "over budget", 403: "not permitted", 404: "not found",
  413: "too large", 422: "invalid request", 429: "limited", 500: "proxy’s fault", 502: "provider failed",
  503: "no provider", 504: "timed out",
};

function showStatuses({ groups, total }) {
  const columns = [
    { title: "Status", row: true, cell: ({ key }) => [narrowing("status", key.status), h("span", { class: "muted" }, ` ${MEANINGS[key.status] ?? ""}`)] },
    { title: "Requests", number: true, cell: (row) => count(row.requests) },
    { title: "Share", number: true, cell: (row) => percent(share(row.requests, total.requests)) },
  ];
  showTop("statuses", "Answers by status", columns, groups);
}

const SEVERITIES = { info: ["info", "Info"], notice: ["warn", "Notice"], warning: ["bad", "Warning"] };

function showInsights({ insights, sample }) {
  if (!insights.length) {
    return fillPanel(at("insights"), "", nothing("No conclusion yet. They need some traffic: try a longer window."));
  }
  const amount = ({ value, unit }) => (unit === "USD" ? usd(value) : unit === "ms" ? span(value) : unit === "%" ? `${short(value)}%` : `${short(value)} ${unit}`);
  const list = insights.map((insight, i) => {
    const [kind, word] = SEVERITIES[insight.severity] ?? SEVERITIES.info;
    const evidence = Object.entries(insight.evidence ?? {}).map(([label, value]) => [
      h("dt", {}, label), h("dd", {}, typeof value === "number" ? short(value) : typeof value === "string" ? value : JSON.stringify(value)),
    ]);
    return h("li", {},
      h("details", { "data-focus": `insight:${insight.id}:${i}` },
        h("summary", {}, badge(kind, word), h("span", { class: "claim" }, insight.title),
          insight.amount && h("b", {}, amount(insight.amount))),
        h("dl", { class: "facts" }, evidence, h("dt", {}, "confidence"), h("dd", {}, percent(insight.confidence)))));
  });
  return fillPanel(at("insights"), `from ${count(sample.requests)} requests`, h("ul", { class: "insights" }, list));
}
