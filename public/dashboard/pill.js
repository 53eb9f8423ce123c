// The states of things as words. Each has an icon too, so that colour alone tells nothing.

import { h, icon } from "./dom.js";

const STATES = {
  closed: ["ok", "working", "Its circuit breaker is closed: requests go through."],
  open: ["bad", "paused", "Its circuit breaker is open: no request goes there for now."],
  half_open: ["half", "recovering", "Its circuit breaker is half-open: a few requests try it."],
  partly: ["half", "partly working", "Some of its models are not asked for now."],
  not_configured: ["off", "not configured"],
  usable: ["ok", "usable"],
  resting: ["half", "resting"],
  refused: ["bad", "refused"],
  healthy: ["ok", "healthy"],
  failing: ["bad", "failing"],
  active: ["ok", "active"],
  expired: ["warn", "expired"],
  revoked: ["off", "revoked"],
};

/** A word with an icon. kind: `ok`, `warn`, `half`, `bad`, `info` or `off`. */
export function badge(kind, text, title = null) {
  return h("span", { class: `badge ${kind}`, title }, icon(kind), text);
}

/** The badge of a state that the interface names; of one that is not known here, its own name. */
export function pill(state, title = null) {
  const [kind, word, meaning] = STATES[state] ?? ["info", String(state).replaceAll("_", " ")];
  return badge(kind, word, title ?? meaning);
}
