// All that is known of one request: why it went where it did, its attempts in time, what it took,
// and what was kept of it.

import { get } from "../api.js";
import { h, replace } from "../dom.js";
import { bytes, count, moment, name, short, span, usd } from "../format.js";
import { LABEL } from "../state.js";
import { failure, narrowing } from "../table.js";
import { attempts } from "./attempts.js";

/** Shows in `place` what the log's row `told` says, then what only the request's own path says. */
export async function loadDetail(place, told, context) {
  const reason = h("div", { class: "reason" });
  const kept = h("div", { class: "kept" });
  const right = h("div", {}, reason, told.attempts.length ? attempts(told.attempts, told.ms) : null);
  place.append(h("div", { class: "facts-body" }, facts(told), right), kept);
  const path = `/analytics/requests/${encodeURIComponent(told.requestId)}`;
  try {
    const whole = await get(path);
    showReason(reason, whole.reason);
    if (whole.bodyKept) kept.append(keptBody(path, context));
  } catch (error) {
    if (error.status === 401) context.trouble(error);
    else if (error.status !== 404) replace(reason, failure(error));
  }
}

function showReason(place, reason) {
  const words = reason?.words ?? [];
  if (!words.length) return;
  const candidates = (reason.candidates ?? []).map((candidate) =>
    h(
      "li",
      {},
      `${candidate.provider}/${candidate.model}`,
      h(
        "span",
        { class: "muted" },
        [candidate.score !== undefined && ` ${short(candidate.score)}`, candidate.note && ` ${candidate.note}`]
          .filter(Boolean)
          .join(","),
      ),
    ),
  );
  replace(
    place,
    h("p", { class: "title" }, "Why there"),
    words.map((sentence) => h("p", {}, sentence)),
    candidates.length > 1 &&
      h(
        "details",
        {},
        h("summary", {}, `${candidates.length} candidates, by ${reason.strategy}`),
        h("ol", { class: "candidates" }, candidates),
      ),
  );
}

/** A button that reads the bodies: they may be long, and each reading is one of R2. */
function keptBody(path, context) {
  if (context.me.role === "viewer")
    return h("p", { class: "muted small" }, "The texts are kept; admins and their user see them.");
  const place = h("div");
  const show = async () => {
    button.disabled = true;
    try {
      replace(place, bodies(await get(`${path}/body`)));
      button.remove();
    } catch (error) {
      button.disabled = false;
      if (error.status === 401) context.trouble(error);
      else replace(place, failure(error));
    }
  };
  const button = h("button", { type: "button", onclick: show }, "Show the kept request and answer");
  return h("div", {}, button, place);
}

function bodies({ request, answer, redacted, expiresAt }) {
  const hidden = Object.entries(redacted ?? {}).map(([kind, times]) => `${count(times)} × ${kind}`);
  const until = expiresAt ? `Kept until ${moment(Date.parse(expiresAt))}.` : "";
  const what = hidden.length ? `Left out: ${hidden.join(", ")}.` : "";
  return [
    body("Request", request),
    body("Answer", answer),
    h("p", { class: "muted small" }, [what, until].filter(Boolean).join(" ")),
  ];
}

function body(title, its) {
  if (!its) return null;
  const cut = its.truncated ? ", cut" : "";
  return h(
    "div",
    {},
    h("p", { class: "title" }, title, h("span", { class: "muted" }, ` ${its.contentType ?? ""}${cut}`)),
    h("pre", { class: "code", tabindex: "0", role: "group", "aria-label": title }, pretty(its)),
  );
}

/** JSON with lines to read; all else as it is. */
function pretty({ contentType, text }) {
  if (!/\bjson\b/.test(contentType ?? "")) return text;
  try {
    return JSON.stringify(JSON.parse(text), null, 2);
  } catch {
    return text;
  }
}

function facts(told) {
  const { usage } = told;
  const list = [
    ["Request", narrowing("id", told.requestId)],
    ["Endpoint", [told.method, told.endpoint].filter(Boolean).join(" ")],
    ["Dialect", told.dialect],
    ["Asked for", told.asked],
    ["Strategy", told.strategy],
    ["User", told.user && narrowing("user", told.user)],
    ["Key", told.keyId && narrowing("key", told.keyId)],
    ["Team", told.team && narrowing("team", told.team)],
    ["Tags", told.tags?.length ? several("tag", told.tags) : null],
    ["Error", [told.error, told.source && `by ${told.source}`].filter(Boolean).join(" ")],
    ["Stream", told.stream ? name(told.ended, "yes") : "no"],
    ["Tokens", usage && tokens(usage)],
    ["Cost", told.cost === null ? null : cost(told)],
    ["Saved", told.costSaved ? usd(told.costSaved) : null],
    ["Latency", [span(told.ms), told.firstMs !== null && `first token ${span(told.firstMs)}`].filter(Boolean).join(", ")],
    ["Bytes", `${bytes(told.bytesIn)} in, ${bytes(told.bytesOut)} out`],
    ["Place", [told.country, told.colo].filter(Boolean).join(" ")],
    ["Session", told.session && narrowing("session", told.session)],
    ["Trace", told.traceId],
    ...Object.entries(told.metadata ?? {}).map(([label, value]) => [
      label,
      narrowing(LABEL + label, value),
    ]),
  ].filter(([, value]) => value);
  return h(
    "dl",
    { class: "facts" },
    list.map(([label, value]) => [h("dt", {}, label), h("dd", {}, value)]),
  );
}

function several(dimension, values) {
  return values.map((value) => h("span", { class: "several" }, narrowing(dimension, value)));
}

const ORIGINS = {
  computed: "from the catalogue’s prices",
  provider: "as the provider says",
  estimated: "estimated",
};

function cost({ cost: dollars, costOrigin }) {
  return [usd(dollars), costOrigin && (ORIGINS[costOrigin] ?? costOrigin)].filter(Boolean).join(" ");
}

function tokens({ inputTokens, outputTokens, cachedTokens, reasoningTokens }) {
  const cached = cachedTokens ? ` (${count(cachedTokens)} cached)` : "";
  const reasoning = reasoningTokens ? ` (${count(reasoningTokens)} reasoning)` : "";
  return `${count(inputTokens)} in${cached}, ${count(outputTokens)} out${reasoning}`;
}
