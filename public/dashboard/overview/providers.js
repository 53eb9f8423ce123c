// The providers, each with its state, that of its models and keys, and its figures.

import { h } from "../dom.js";
import { ago, clock, count, name, short, span, usd, UNKNOWN } from "../format.js";
import { pill } from "../pill.js";
import { bar, fillPanel, fillWithFirst, narrowing, nothing, table } from "../table.js";
import { wrong } from "./breakdowns.js";

const FEW = 6;

/** providers: those of /health/providers; groups: the figures by provider; requests: of all. */
export function showProviders(panel, providers, groups, requests) {
  const figures = new Map(groups.map((group) => [group.key.provider, group]));
  const rows = providers.map((provider) => ({
    ...provider,
    figures: figures.get(provider.name),
  }));
  const there = rows.filter((row) => row.configured || row.figures);
  const absent = rows.filter((row) => !there.includes(row));
  if (!there.length) {
    fillPanel(
      panel,
      "",
      nothing(
        "No provider is configured. Set a provider’s key, e.g. with `wrangler secret put GROQ_API_KEY`.",
      ),
    );
    return;
  }
  const number = (title, pick, extra = false) => ({
    title,
    number: true,
    extra,
    cell: (row) => (row.figures ? pick(row.figures) : UNKNOWN),
  });
  const columns = [
    { title: "Provider", row: true, cell: (row) => narrowing("provider", row.name) },
    { title: "State", cell: state },
    { title: "Last check", extra: true, cell: lastCheck },
    number("Requests", (f) => count(f.requests)),
    number("Failing", (f) => wrong(f.failedAttempts, f.attempts)),
    number("Errors", (f) => wrong(f.errors, f.requests), true),
    number("p50", (f) => span(f.latencyMs.p50), true),
    number("p95", (f) => span(f.latencyMs.p95)),
    number("First token", (f) => span(f.firstTokenMs.p50), true),
    number("Tokens", (f) => short(f.inputTokens + f.outputTokens), true),
    number("Cost", (f) => usd(f.cost)),
    {
      title: "Share",
      extra: true,
      cell: (row) => (row.figures ? bar(row.figures.requests, requests) : UNKNOWN),
    },
  ];
  const off = there.filter((row) => !isWell(row)).length;
  const note = off ? `${off} of ${there.length} not as usual` : `${there.length} configured`;
  there.sort((a, b) => isWell(a) - isWell(b) || attempts(b) - attempts(a));
  const draw = (some) => table("Providers", columns, some, { cards: true });
  fillWithFirst(FEW, panel, note, there, draw, missing(absent));
}

function attempts({ figures }) {
  return figures ? figures.attempts + figures.requests : 0;
}

/** Whether it and all of its models are asked. */
function isWell({ breaker, models }) {
  return phase(breaker) === "closed" && !Object.keys(models ?? {}).length;
}

function phase(view) {
  return view?.phase ?? "closed";
}

/** What holds for the whole provider, then for those of its models and keys that differ. */
function state({ breaker: view, configured, reason, models, keys }) {
  if (!configured) return pill("not_configured", reason);
  const parts = Object.entries(models ?? {}).map(([model, its]) => part(model, its.phase, why(its)));
  for (const { number, state: its, until } of keys ?? []) {
    const told = until ? `until ${clock(until)}` : "";
    if (its !== "usable") parts.push(part(`key ${number}`, its, told));
  }
  // A breaker that is closed says nothing of models that have breakers of their own.
  const own = phase(view);
  const partly = own === "closed" && Object.keys(models ?? {}).length > 0;
  return h(
    "div",
    { class: "states" },
    pill(partly ? "partly" : own),
    own !== "closed" && h("span", { class: "under" }, why(view)),
    parts,
  );
}

function part(what, its, told) {
  const detail = told && h("span", { class: "under" }, told);
  return h("span", { class: "part" }, pill(its), h("span", { class: "part-name" }, what), detail);
}

function why(view) {
  const until = view?.openUntil ? `until ${clock(view.openUntil)}` : "";
  return [reasons(view), until].filter(Boolean).join(", ");
}

function reasons(view) {
  if (view?.reason === "slow") return `${view.slow} of ${view.calls} calls were slow`;
  if (view?.reason === "failed") return `${view.failures} of ${view.calls} calls failed`;
  return view?.reason ?? "";
}

function lastCheck({ lastCheck: check, configured }) {
  if (!configured) return UNKNOWN;
  if (!check) return h("span", { class: "muted" }, "not checked yet");
  const detail = check.healthy
    ? span(check.latencyMs)
    : [check.status, check.reason].filter(Boolean).join(" ");
  return [
    pill(check.healthy ? "healthy" : "failing", check.reason),
    h("span", { class: "under" }, `${detail} · ${ago(check.checkedAt)}`),
  ];
}

function missing(rows) {
  if (!rows.length) return null;
  const items = rows.map((row) => h("li", {}, h("b", {}, row.name), ` ${name(row.reason, "")}`));
  return h(
    "details",
    { class: "foot", "data-focus": "absent" },
    h("summary", {}, `${rows.length} more not configured`),
    h("ul", {}, items),
  );
}

