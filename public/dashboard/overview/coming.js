// What the catalogue's dates change soon at the providers that are in use: models that end, prices.

import { h } from "../dom.js";
import { name } from "../format.js";
import { badge } from "../pill.js";
import { fillPanel, fillWithFirst, nothing } from "../table.js";

const FEW = 5;
const DAY_MS = 86_400_000;

/** providers: those of /health/providers. */
export function showComing(panel, providers) {
  const items = providers.filter((provider) => provider.configured).flatMap(changes);
  if (!items.length) {
    fillPanel(panel, "", nothing("No model ends and no price changes within 60 days."));
    return;
  }
  items.sort((a, b) => a.day.localeCompare(b.day));
  const entry = ({ day, kind, title, what }) =>
    h(
      "li",
      {},
      badge(kind === "ends" ? "warn" : "info", kind),
      h("span", { class: "claim" }, h("b", {}, title), h("span", { class: "under" }, what)),
      h("span", { class: "due" }, h("b", {}, day), h("span", { class: "under" }, within(day))),
    );
  fillWithFirst(FEW, panel, `${items.length} within 60 days`, items, (some) =>
    h("ul", { class: "coming" }, some.map(entry)),
  );
}

function changes({ name: provider, endings = [], priceChanges = [] }) {
  return [
    ...endings.map(({ model, shutdown, replacedBy }) => ({
      day: shutdown,
      kind: "ends",
      title: `${name(provider)}/${name(model)}`,
      what: replacedBy
        ? `${name(replacedBy)} answers from then on. Name it, or point an alias at it, to try it before.`
        : "Nothing replaces it. Point its callers, or an alias, at another model before.",
    })),
    ...priceChanges.map(({ model, from, before, after }) => ({
      day: from,
      kind: "price",
      title: `${name(provider)}/${name(model)}`,
      what: `${Object.keys(before)
        .map((key) => `${key} ${before[key]} to ${after[key]}`)
        .join(", ")} dollars a million tokens.`,
    })),
  ];
}

function within(day) {
  const days = Math.ceil((Date.parse(day) - Date.now()) / DAY_MS);
  if (days <= 0) return "now";
  return days === 1 ? "tomorrow" : `in ${days} days`;
}
