// The providers with their breakers, and what each is thought to bear.

import { badge, h } from "./dom.js";
import { ago, clock, count, name, percent, share, short, span, usd, UNKNOWN } from "./format.js";
import { bar, fillPanel, narrowing, nothing, table } from "./tables.js";

const PHASES = {
  closed: ["ok", "closed"],
  open: ["bad", "open"],
  half_open: ["half", "half-open"],
};

/** seen: /health/providers; told: /analytics grouped by provider, null where it can't be read. */
export function showProviders(panel, seen, told) {
  const figures = new Map(told?.groups.map((group) => [group.key.provider, group]));
  const rows = seen.providers.map((provider) => ({
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
    { title: "Breaker", cell: breaker },
    { title: "Last check", extra: true, cell: lastCheck },
    number("Requests", (f) => count(f.requests)),
    number("Failed attempts", (f) =>
      h(
        "span",
        { class: f.failedAttempts ? "bad-text" : "muted" },
        percent(share(f.failedAttempts, f.attempts)),
      ),
    ),
    number("p50", (f) => span(f.latencyMs.p50), true),
    number("p95", (f) => span(f.latencyMs.p95)),
    number("First token", (f) => span(f.firstTokenMs.p50), true),
    number("Tokens", (f) => short(f.inputTokens + f.outputTokens), true),
    number("Cost", (f) => usd(f.cost)),
    {
      title: "Share",
      extra: true,
      cell: (row) => bar(row.figures?.requests ?? 0, told?.total.requests),
    },
  ];
  const open = there.filter((row) => phase(row.breaker) !== "closed").length;
  const note = open ? `${open} not closed` : `${there.length} configured`;
  fillPanel(panel, note, table("Providers", columns, there), coming(there), missing(absent));
}

/** What the catalogue's dates change soon, at the providers that are there. */
function coming(rows) {
  const items = rows.flatMap((row) => [
    ...(row.endings ?? []).map((ending) => ({ day: ending.shutdown, text: ends(row, ending) })),
    ...(row.priceChanges ?? []).map((change) => ({ day: change.from, text: costs(row, change) })),
  ]);
  if (!items.length) return null;
  items.sort((a, b) => a.day.localeCompare(b.day));
  return h(
    "details",
    { class: "foot", "data-focus": "coming" },
    h("summary", {}, `Within 60 days: ${items.length} changes, the first on ${items[0].day}`),
    h(
      "ul",
      {},
      items.map(({ day, text }) => h("li", {}, h("b", {}, day), ` ${text}`)),
    ),
  );
}

function ends({ name: provider }, { model, replacedBy }) {
  const then = replacedBy ? `${name(replacedBy)} answers from then on` : "nothing replaces it";
  return `${name(provider)}/${name(model)} ends; ${then}.`;
}

function costs({ name: provider }, { model, before, after }) {
  const prices = Object.keys(before).map((key) => `${key} ${before[key]} to ${after[key]}`);
  return `${name(provider)}/${name(model)}: ${prices.join(", ")} dollars a million tokens.`;
}

function phase(view) {
  return view?.phase ?? "closed";
}

function breaker({ breaker: view, configured, reason, models, keys }) {
  if (!configured) return badge("off", "not configured", reason);
  const [kind, word] = PHASES[phase(view)] ?? ["info", view.phase];
  const until = view?.openUntil ? ` until ${clock(view.openUntil)}` : "";
  const why = reasons(view);
  const parts = Object.entries(models ?? {}).map(([model, its]) =>
    h("span", { class: "under" }, `${model}: ${its.phase}`),
  );
  for (const { number, state, until: when } of keys ?? []) {
    const told = when ? ` until ${clock(when)}` : "";
    if (state !== "usable") parts.push(h("span", { class: "under" }, `key ${number}: ${state}${told}`));
  }
  const detail = kind === "ok" ? null : h("span", { class: "under" }, `${why}${until}`);
  return [badge(kind, word), detail, ...parts];
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
    badge(check.healthy ? "ok" : "bad", check.healthy ? "healthy" : "failing", check.reason),
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

/** pools: what /admin/limits shows of each provider. */
export function showLimits(panel, pools) {
  const now = Date.now();
  const known = pools.filter(
    (pool) => pool.capacity !== null || pool.users.length || pool.closed_until > now,
  );
  const pressed = pools.filter((pool) => isPressed(pool) || scopesOf(pool).some(isPressed)).length;
  if (!known.length) {
    fillPanel(panel, "", nothing("No provider is under pressure and nobody uses a bucket now."));
    return;
  }
  const columns = [
    { title: "Provider", row: true, cell: (pool) => narrowing("provider", pool.provider) },
    { title: "Bears", cell: (pool) => bears(pool, now) },
    { title: "Users", number: true, cell: (pool) => count(pool.users.length) },
    { title: "Greatest demand", cell: ({ users }) => users.slice(0, 3).map(demand) },
  ];
  fillPanel(
    panel,
    pressed ? `${pressed} under pressure` : "no pressure",
    table("Limits by provider", columns, known),
  );
}

function isPressed(scope) {
  return scope.capacity !== null;
}

/** The models of a pool that are short or closed by themselves. */
function scopesOf(pool) {
  return pool.scopes ?? [];
}

function bears(pool, now) {
  const { capacity, closed_until: closedUntil } = pool;
  const scopes = scopesOf(pool);
  const own = scopes.map(({ scope, ...each }) => [
    h("span", { class: "under" }, h("b", {}, name(scope))),
    bears(each, now),
  ]);
  // A pool's closed_until is the last of its models', too.
  const apart = scopes.some((scope) => scope.closed_until === closedUntil);
  if (closedUntil > now && !apart) return [badge("bad", `closed until ${clock(closedUntil)}`), own];
  if (capacity === null) return [badge("ok", "as configured"), own];
  return [
    badge("warn", "shared out"),
    h("span", { class: "under" }, `${count(capacity)} requests an hour`),
    own,
  ];
}

function demand({ user, demand: asked, rate }) {
  const held = rate ? `, held to ${count(rate.per_hour)}` : "";
  return h("span", { class: "under" }, h("b", {}, name(user)), ` ${count(asked)}/h${held}`);
}
