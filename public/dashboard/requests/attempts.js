// The attempts of a request, for its detail and for the playground.

import { h } from "../dom.js";
import { percent, share, span } from "../format.js";
import { badge } from "../pill.js";

/** The attempts one below the other, each with its share of the longest. */
export function attempts(tries) {
  const longest = Math.max(...tries.map((a) => a.ms), 1);
  const items = tries.map((a) =>
    h(
      "li",
      {},
      h("span", { class: "name" }, `${a.provider} / ${a.model}`),
      badge(a.outcome === "ok" ? "ok" : "bad", [a.outcome, a.status].filter(Boolean).join(" ")),
      h("span", {
        class: "meter",
        "aria-hidden": "true",
        "--share": percent(share(a.ms, longest)),
      }),
      h("span", { class: "number" }, span(a.ms)),
      a.replaces && h("span", { class: "under" }, `in the place of ${a.replaces}, which has ended`),
      a.message && h("span", { class: "under" }, a.message),
    ),
  );
  return h(
    "div",
    {},
    h("p", { class: "title" }, "Attempts"),
    h("ol", { class: "attempts" }, items),
  );
}
