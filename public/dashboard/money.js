// What may be spent, and what was, as bars; and the fields of a budget.

import { h } from "./dom.js";
import { field, figure, given, numberOf } from "./forms.js";
import { percent, share, usd } from "./format.js";

const PERIODS = { day: "today", month: "this month" };

/** The budget of a key, a team or a tag with its use so far: a bar for each period. */
export function budgetBars(budget, used) {
  const bars = Object.entries(PERIODS)
    .filter(([period]) => budget?.[period])
    .map(([period, word]) => bar(word, used?.[period], budget[period]));
  if (bars.length) return h("div", { class: "budgets" }, bars);
  const spent = used?.month ? `${usd(used.month)} this month, ` : "";
  return h("span", { class: "muted small" }, `${spent}no budget`);
}

function bar(word, used, most) {
  const part = used === undefined || used === null ? null : share(used, most);
  const text = part === null ? `of ${usd(most)}` : `${usd(used)} of ${usd(most)}`;
  return useBar(`${text} ${word}`, part);
}

/** A bar of what is used up. text: says it; part: the share of the whole, null where it is not known. */
export function useBar(text, part) {
  const state = part === null ? "" : part >= 1 ? "bad" : part >= 0.8 ? "warn" : "";
  const end = part === null ? "not known" : part >= 1 ? "used up" : percent(part);
  return h(
    "div",
    { class: `budget ${state}` },
    h("span", {}, text),
    h("span", { class: "muted" }, end),
    h("span", {
      class: "meter",
      "aria-hidden": "true",
      "--share": `${(Math.min(part ?? 0, 1) * 100).toFixed(1)}%`,
    }),
  );
}

/** The two fields of a budget; name: where they stand in the body. */
export function budgetFields(budget, name = "budget") {
  const at = name ? `${name}.` : "";
  const control = (period) =>
    figure(budget?.[period], { min: 0, step: "any", inputmode: "decimal" });
  return [
    field(`${at}day`, "Dollars a day", control("day"), { hint: "By day of UTC." }),
    field(`${at}month`, "Dollars a month", control("month"), { hint: "By month of UTC." }),
  ];
}

/** What stands in these fields; null where nothing does. */
export function readBudget(form, name = "budget") {
  const at = name ? `${name}.` : "";
  const of = (period) => numberOf(form.elements[`${at}${period}`]);
  return given({ day: of("day"), month: of("month") });
}
