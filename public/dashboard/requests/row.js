// A request as two rows of the log: one to see, one to open.

import { h, icon } from "../dom.js";
import { count, moment, span, UNKNOWN, usd } from "../format.js";
import { badge } from "../pill.js";
import { narrowing } from "../table.js";

/** The titles of the log, each with its style. */
export const COLUMNS = [
  ["Time"],
  ["Status"],
  ["User", "extra"],
  ["Model"],
  ["Cache", "extra"],
  ["Tokens", "number extra"],
  ["Cost", "number extra"],
  ["Latency", "number"],
];

/** The rows `line` and `facts` of a request, its `id`, and `open()`. fill(place): once, as it opens. */
export function rowOf(told, fill) {
  const facts = h("tr", { class: "facts-row", hidden: true, id: `facts-${told.requestId}` });
  const turn = () => {
    const open = facts.hidden;
    if (open && !facts.firstChild) {
      const place = h("td", { colspan: COLUMNS.length });
      facts.append(place);
      fill(place);
    }
    facts.hidden = !open;
    toggle.setAttribute("aria-expanded", String(open));
  };
  const toggle = h(
    "button",
    {
      type: "button",
      class: "link disclose",
      "aria-expanded": "false",
      "aria-controls": facts.id,
      "data-focus": told.requestId,
      onclick: turn,
    },
    icon("right"),
    moment(Date.parse(told.at)),
  );
  const open = () => facts.hidden && turn();
  return { id: told.requestId, line: h("tr", {}, cells(told, toggle)), facts, open };
}

function cells(told, toggle) {
  const first =
    told.firstMs !== null && h("span", { class: "under" }, `first token ${span(told.firstMs)}`);
  return [
    h("th", { scope: "row" }, toggle),
    h("td", {}, status(told)),
    h("td", { class: "extra" }, narrowing("user", told.user)),
    h("td", {}, model(told)),
    h("td", { class: "extra" }, cache(told)),
    h("td", { class: "number extra" }, told.usage ? count(told.usage.totalTokens) : UNKNOWN),
    h("td", { class: "number extra" }, usd(told.cost)),
    h("td", { class: "number" }, span(told.ms), first),
  ];
}

/** Who answered; else what was asked for, and where. */
function model({ model: answered, provider, asked, endpoint }) {
  if (answered) return [narrowing("model", answered), h("span", { class: "under" }, provider)];
  return [asked && h("span", { class: "asked-for" }, asked), h("span", { class: "under" }, endpoint)];
}

function status({ status: code, error, ended }) {
  const broken = ended !== null && ended !== "ok" && ended !== "client_gone";
  const kind = code >= 500 || broken ? "bad" : code >= 400 ? "warn" : "ok";
  const word = error ?? (ended === "client_gone" ? "client gone" : null);
  return [badge(kind, code), word && h("span", { class: "under" }, word)];
}

function cache({ cache: found, tier }) {
  if (!found) return h("span", { class: "muted" }, UNKNOWN);
  const kind = { hit: "ok", stale: "warn" }[found] ?? "";
  return h("span", { class: `tag ${kind}` }, tier ? `${found} · ${tier}` : found);
}
