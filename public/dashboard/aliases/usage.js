// What was used of the own limits and budgets of aliases' targets, and the question before that is
// forgotten.

import { change } from "../api.js";
import { h } from "../dom.js";
import { count, share } from "../format.js";
import { budgetBars, useBar } from "../money.js";
import { act, readAll, undertake } from "../operate.js";
import { nothing, table } from "../table.js";

const MOST = 500; // aliases of a page; there are a thousand at most

/** All aliases, each with what was used of its targets. */
export function readAliases(signal) {
  return readAll("/admin/aliases", "aliases", { limit: MOST, usage: true }, signal);
}

/** Whether a target has a limit or a budget of its own. */
export function isLimited({ limit, budget }) {
  return Boolean(limit || budget);
}

/** A target's own limit and budget as bars. used: what the proxy says was used of it. */
export function targetBars({ limit, budget }, used) {
  return [
    limit && h("div", { class: "budgets" }, requests(limit, used?.requests ?? null)),
    budget && budgetBars(budget, used),
  ];
}

function requests({ perHour, burst }, used) {
  const most = burst ?? perHour;
  const hour = `${count(perHour)} ${most === perHour ? "requests " : ""}an hour`;
  const whole = most === perHour ? hour : `${count(most)} requests at once, ${hour}`;
  const part = used === null ? null : share(used, most);
  return useBar(part === null ? whole : `${count(used)} of ${whole}`, part);
}

/** A table of all targets of aliases that have limits or budgets of their own. */
export function limitedTargets(aliases, context) {
  const rows = aliases.flatMap((alias) =>
    alias.targets.filter(isLimited).map((target) => ({ alias, target })),
  );
  if (!rows.length) return nothing("No target of an alias has a limit or a budget of its own.");
  return table("Targets of aliases", columns(context), rows, { cards: true });
}

function columns(context) {
  return [
    {
      title: "Target",
      row: true,
      cell: ({ alias, target }) => [
        h("span", { class: "name" }, target.id),
        h("span", { class: "under" }, `in ${alias.name}`),
      ],
    },
    {
      title: "Used",
      cell: ({ alias, target }) => targetBars(target, alias.used?.[target.id]),
    },
    {
      title: "Actions",
      cell: ({ alias, target }) =>
        context.can("admin")
          ? h(
              "span",
              { class: "actions" },
              act("Reset", `${target.id} in ${alias.name}`, () =>
                resetTargets(context, alias.name, target.id),
              ),
            )
          : "",
    },
  ];
}

/** Forgets what was used of an alias's targets, or of that one, once the reader has confirmed it. */
export function resetTargets(context, alias, target = null) {
  const of = target ? `${target} in ${alias}` : `all targets of ${alias}`;
  const which = new URLSearchParams({ alias, ...(target && { target }) });
  return undertake(context, {
    title: `Forget what was used of ${of}?`,
    text:
      "Requests and money count from nothing again, for all callers together. The figures keep" +
      " what was spent. This can’t be undone.",
    action: "Forget it",
    work: () => change("DELETE", `/admin/limits?${which}`),
    said: "Forgotten.",
  });
}
