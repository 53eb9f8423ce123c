// The attempts of a request in time, for its detail and for the playground.

import { h } from "../dom.js";
import { share, span } from "../format.js";
import { badge } from "../pill.js";

/**
 * The attempts one below the other, each as long as it took and where it began; one whose start is
 * not known where the one before it ended. whole: the request's own time in ms.
 */
export function attempts(tries, whole = 0) {
  let end = 0;
  const placed = tries.map((attempt) => {
    const from = attempt.start ?? end;
    end = from + attempt.ms;
    return { attempt, from, end };
  });
  const width = Math.max(...placed.map((its) => its.end), whole, 1);
  const items = placed.map(({ attempt, from }) =>
    item(attempt, share(from, width), share(attempt.ms, width)),
  );
  return h(
    "div",
    { class: "timeline" },
    h("p", { class: "title" }, "Attempts"),
    h("ol", { class: "attempts" }, items),
  );
}

function item(attempt, from, part) {
  const { outcome, status, start, key, replaces, message, code } = attempt;
  const kind = { ok: "ok", cancelled: "off" }[outcome] ?? "bad"; // another one was faster
  const percent = (value) => `${(value * 100).toFixed(2)}%`;
  const under = (text) => h("span", { class: "under" }, text);
  return h(
    "li",
    {},
    h("span", { class: "name" }, `${attempt.provider} / ${attempt.model}`),
    badge(kind, [words(outcome), status].filter(Boolean).join(" ")),
    h("span", { class: "number" }, span(attempt.ms)),
    h("span", {
      class: `track ${kind}`,
      "aria-hidden": "true",
      "--from": percent(from),
      "--share": percent(part),
    }),
    start > 0 && under(`begun after ${span(start)}`),
    key && under(`with key ${key}`),
    replaces && under(`in the place of ${replaces}, which has ended`),
    (code || message) && under([code, message].filter(Boolean).join(": ")),
  );
}

function words(outcome) {
  return String(outcome).replaceAll("_", " ");
}
