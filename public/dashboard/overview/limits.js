// What each provider is thought to bear, and who asks how much of it.

import { h } from "../dom.js";
import { clock, count, name } from "../format.js";
import { badge } from "../pill.js";
import { fillPanel, narrowing, nothing, table } from "../table.js";

/** limits: by provider what /admin/limits shows of it. */
export function showLimits(panel, limits) {
  const pools = Object.entries(limits).map(([provider, view]) => ({ provider, ...view }));
  const now = Date.now();
  const known = pools.filter(
    (pool) => pool.capacity !== null || pool.users.length || pool.closed_until > now,
  );
  const pressed = pools.filter((pool) => isPressed(pool) || scopesOf(pool).some(isPressed)).length;
  if (!known.length) {
    fillPanel(panel, "", nothing("No provider is short, and nobody uses a bucket now. Demand shows here as it comes."));
    return;
  }
  const columns = [
    { title: "Provider", row: true, cell: (pool) => narrowing("provider", pool.provider) },
    { title: "Bears", half: true, cell: (pool) => bears(pool, now) },
    { title: "Greatest demand", half: true, cell: ({ users }) => users.slice(0, 3).map(demand) },
  ];
  fillPanel(
    panel,
    pressed ? `${pressed} under pressure` : "no pressure",
    table("Limits by provider", columns, known, { cards: true }),
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
