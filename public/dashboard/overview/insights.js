// Conclusions from the traffic, each with what to do and its evidence.

import { h } from "../dom.js";
import { count, moment, percent, short, span, usd } from "../format.js";
import { badge } from "../pill.js";
import { fillPanel, fillWithFirst, nothing } from "../table.js";

const FEW = 5;
const SEVERITIES = {
  info: ["info", "Info"],
  notice: ["warn", "Notice"],
  warning: ["bad", "Warning"],
};
const MOMENTS = ["first", "last", "begin", "end", "at"];

/** told: what /analytics/insights answers. */
export function showInsights(panel, { insights, sample }) {
  if (!insights.length) {
    const text = `Nothing stands out in ${count(sample.requests)} requests. Conclusions need some traffic: try a longer window.`;
    return fillPanel(panel, "", nothing(text));
  }
  const note = `from ${count(sample.requests)} requests`;
  return fillWithFirst(FEW, panel, note, insights, (some) =>
    h("ul", { class: "insights" }, some.map(entry)),
  );
}

function entry(insight) {
  const [kind, word] = SEVERITIES[insight.severity] ?? SEVERITIES.info;
  const facts = Object.entries(insight.evidence ?? {}).map(([label, value]) => [
    h("dt", {}, words(label)),
    h("dd", {}, figure(label, value)),
  ]);
  const when = insight.period ? [h("dt", {}, "when"), h("dd", {}, insight.period)] : [];
  const sure = [h("dt", {}, "confidence"), h("dd", {}, percent(insight.confidence))];
  return h(
    "li",
    {},
    h(
      "details",
      { "data-focus": `insight:${insight.id}` },
      h(
        "summary",
        {},
        badge(kind, word),
        h("span", { class: "claim" }, insight.title),
        insight.amount && h("b", {}, amount(insight.amount)),
      ),
      insight.action && h("p", { class: "advice" }, h("b", {}, "What to do: "), insight.action),
      h("dl", { class: "facts" }, when, facts, sure),
    ),
  );
}

function amount({ value, unit }) {
  if (unit === "USD") return usd(value);
  if (unit === "ms") return span(value);
  return unit === "%" ? `${short(value)}%` : `${short(value)} ${unit}`;
}

/** `hitRateNow` as words. */
function words(label) {
  return label.replace(/([a-z])([A-Z])/g, "$1 $2").toLowerCase();
}

function figure(label, value) {
  if (typeof value === "string") return value;
  if (typeof value !== "number") return JSON.stringify(value);
  if (MOMENTS.includes(label)) return moment(value);
  return label.endsWith("Ms") ? span(value) : short(value);
}
