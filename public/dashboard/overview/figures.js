// The window's figures: the tiles, and the plots of the same over time.

import { chart, sparkline } from "../charts.js";
import { h, replace } from "../dom.js";
import { count, name, percent, share, short, shortUsd, span, usd, UNKNOWN } from "../format.js";

const SHADES = ["--c1", "--c2", "--c3", "--c4", "--c5", "--c6", "--c7", "--c8"];
const TILES = 8;

/** Where an answer was found: the field of the figures, its name, its colour. */
export const CACHE = [
  ["memory", "memory", "--c2"],
  ["kv", "KV", "--c3"],
  ["r2", "R2", "--c4"],
  ["flight", "shared flight", "--c6"],
  ["stale", "stale", "--warn"],
  ["miss", "miss", "--c1"],
  ["bypass", "bypass", "--c8"],
];

const PLOTS = {
  outcome: { title: "Requests", kind: "bars", format: short },
  latency: { title: "Latency", kind: "lines", format: span },
  provider: { title: "Requests by provider", kind: "bars", format: short },
  tokens: { title: "Tokens", kind: "bars", format: short },
  cost: { title: "Cost and savings", kind: "bars", format: usd },
  cache: { title: "Cache", kind: "bars", format: short },
};

/** The places of the figures, `tiles` and `charts`, and `show(told)`, which fills them. */
export function figures() {
  const plots = Object.fromEntries(
    Object.entries(PLOTS).map(([name, spec]) => [name, chart(spec)]),
  );
  const blank = Array.from({ length: TILES }, () =>
    h("div", { class: "tile skeleton", role: "listitem" }, "\u00a0"),
  );
  const tiles = h("div", { class: "tiles", role: "list", "aria-label": "Figures" }, blank);
  const charts = h(
    "div",
    { class: "charts", role: "group", "aria-label": "Plots over time" },
    Object.values(plots).map((plot) => plot.element),
  );
  const show = (told) => {
    replace(tiles, tilesOf(told.total, told.series ?? []));
    charts.hidden = told.total.requests === 0;
    if (!charts.hidden) draw(plots, told);
  };
  return { tiles, charts, show };
}

/** told: what /analytics/overview answers. */
function draw(plots, { total, series = [], step, byProvider }) {
  const picture = { at: series.map((s) => Date.parse(s.at)), step };
  const line = (label, color, pick) => ({
    label,
    color,
    values: series.map(pick),
    total: pick(total),
  });
  const show = (plot, ...lines) => plots[plot].show({ ...picture, series: lines });
  const served = (f) => Math.max(0, f.requests - f.errors - f.cacheHits);

  show(
    "outcome",
    line("from providers", "--c1", served),
    line("from cache", "--c2", (f) => f.cacheHits),
    line("failed", "--bad", (f) => f.errors - f.limited),
    line("limited", "--warn", (f) => f.limited),
  );
  show(
    "latency",
    line("p50", "--c2", (f) => f.latencyMs.p50),
    line("p95", "--c1", (f) => f.latencyMs.p95),
    line("p99", "--c5", (f) => f.latencyMs.p99),
  );
  show(
    "tokens",
    line("input", "--c1", (f) => f.inputTokens),
    line("output", "--c3", (f) => f.outputTokens),
  );
  show(
    "cost",
    line("spent", "--c1", (f) => f.cost),
    line("saved by the cache", "--c2", (f) => f.costSaved),
  );
  const found = CACHE.filter(([field]) => total.cache[field] || field === "miss");
  show("cache", ...found.map(([field, label, color]) => line(label, color, (f) => f.cache[field])));
  plots.provider.show({ ...picture, series: busiest(byProvider ?? []) });
}

/** The busiest providers each for themselves, the rest together. */
function busiest(groups) {
  const lines = groups.slice(0, SHADES.length - 1).map((group, i) => ({
    label: name(group.key.provider, "none"),
    color: SHADES[i],
    values: (group.series ?? []).map((s) => s.requests),
    total: group.requests,
  }));
  const rest = groups.slice(SHADES.length - 1);
  if (rest.length) {
    const values = rest[0].series.map((_, i) =>
      rest.reduce((sum, g) => sum + g.series[i].requests, 0),
    );
    lines.push({
      label: "others",
      color: SHADES.at(-1),
      values,
      total: rest.reduce((sum, g) => sum + g.requests, 0),
    });
  }
  return lines;
}

function tilesOf(total, series) {
  const tile = (title, value, detail, pick, kind = "") =>
    h(
      "div",
      { class: `tile ${kind}`, role: "listitem" },
      h("h2", {}, title),
      h("p", { class: "value" }, value),
      h("p", { class: "detail" }, detail),
      pick && sparkline(series.map(pick)),
    );
  const wrong = share(total.errors, total.requests);
  const would = total.cost + total.costSaved;
  const { latencyMs: latency, firstTokenMs: first } = total;
  return [
    tile(
      "Requests",
      short(total.requests),
      `${count(total.fallbacks)} by fallback`,
      (f) => f.requests,
    ),
    tile(
      "Errors",
      percent(wrong),
      `${count(total.errors)} failed, ${count(total.limited)} limited`,
      (f) => f.errors,
      wrong > 0.05 ? "alarming" : "",
    ),
    tile(
      "Latency p50",
      span(latency.p50),
      `p95 ${span(latency.p95)}, p99 ${span(latency.p99)}`,
      (f) => f.latencyMs.p50,
    ),
    tile("First token p50", span(first.p50), `p95 ${span(first.p95)}`, (f) => f.firstTokenMs.p50),
    tile(
      "Tokens",
      short(total.inputTokens + total.outputTokens),
      `${short(total.inputTokens)} in, ${short(total.outputTokens)} out`,
      (f) => f.inputTokens + f.outputTokens,
    ),
    tile("Cost", shortUsd(total.cost), costDetail(total), (f) => f.cost),
    tile(
      "Saved",
      shortUsd(total.costSaved),
      `${percent(share(total.costSaved, would))} of the full cost`,
      (f) => f.costSaved,
    ),
    tile(
      "Cache hits",
      percent(share(total.cacheHits, total.requests)),
      `${count(total.cacheHits)} of ${count(total.requests)}`,
      (f) => share(f.cacheHits, f.requests),
    ),
  ];
}

function costDetail({ cost, requests, unpriced }) {
  if (unpriced) return `${count(unpriced)} without a price`;
  return requests ? `${usd((cost / requests) * 1_000)} per 1,000` : UNKNOWN;
}
