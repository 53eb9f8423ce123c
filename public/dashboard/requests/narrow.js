// What narrows the log: a form whose answers are filters in the address, each a chip above it.

import { h } from "../dom.js";
import { choose, LABEL, onChange, state } from "../state.js";

const CACHE = ["hit", "miss", "bypass", "stale"];
const STATUSES = ["2xx", "4xx", "5xx", "400", "401", "402", "403", "404", "429", "500", "502", "503", "504"];
const ERRORS = [
  "invalid_request",
  "authentication_failed",
  "permission_denied",
  "budget_exceeded",
  "not_found",
  "payload_too_large",
  "rate_limit_exceeded",
  "provider_error",
  "no_provider_available",
  "provider_timeout",
  "internal_error",
];
const TEXTS = {
  user: ["User", "ann"],
  model: ["Model", "gpt-5-mini"],
  provider: ["Provider", "openai"],
  key: ["Key", "key_…"],
  id: ["Request", "req_…"],
  session: ["Session", "a conversation’s name"],
  tag: ["Tag", "search"],
  team: ["Team", "support"],
  endpoint: ["Endpoint", "/v1/messages"],
  [LABEL]: ["Label", "name=value"],
};
const WIDE = "(min-width: 701px)";

/** The form; `action` is a button at its end. */
export function narrow(action) {
  const places = { ...selects(), ...moments() };
  const show = () => {
    for (const [name, place] of Object.entries(places)) {
      if (place === document.activeElement) continue;
      place.value = name in TIMES ? local(state.filters[name]) : (state.filters[name] ?? "");
    }
  };
  onChange(show);
  show();
  const labelled = (text, place) => h("label", {}, h("span", {}, text), place);
  return h(
    "details",
    { class: "card narrow", open: matchMedia(WIDE).matches },
    h("summary", {}, "Filter and export"),
    h(
      "form",
      {
        id: "log-filters",
        "aria-label": "Narrow the log",
        onsubmit: (event) => event.preventDefault(),
      },
      labelled("Status", places.status),
      statusList(),
      labelled("Error", places.error),
      labelled("Cache", places.cache),
      Object.entries(TIMES).map(([name, title]) => labelled(title, places[name])),
      byText(),
      h("div", { class: "action" }, action),
    ),
  );
}

const TIMES = { from: "From", to: "Until" };

function selects() {
  const pick = (name, values) =>
    h(
      "select",
      { name, onchange: ({ target }) => choose({ filters: { [name]: target.value } }) },
      h("option", { value: "" }, "any"),
      values.map((value) => h("option", {}, value)),
    );
  const status = h("input", {
    name: "status",
    list: "statuses-known",
    pattern: "[1-5](xx|[0-9]{2})",
    title: "A status or a class, as in 502 or 5xx",
    maxlength: 3,
    placeholder: "any",
    autocomplete: "off",
    onchange: ({ target }) =>
      target.reportValidity() && choose({ filters: { status: target.value } }),
  });
  return { status, error: pick("error", ERRORS), cache: pick("cache", CACHE) };
}

function statusList() {
  return h("datalist", { id: "statuses-known" }, STATUSES.map((value) => h("option", { value })));
}

function moments() {
  const field = (name) =>
    h("input", {
      name,
      type: "datetime-local",
      onchange: ({ target }) =>
        choose({ filters: { [name]: target.value && new Date(target.value).toISOString() } }),
    });
  return { from: field("from"), to: field("to") };
}

/** A moment of the address as a field of the reader's own time zone has it. */
function local(text) {
  const at = Date.parse(text ?? "");
  if (Number.isNaN(at)) return "";
  return new Date(at - new Date(at).getTimezoneOffset() * 60_000).toISOString().slice(0, 16);
}

/** One pair of fields for all filters that are texts. */
function byText() {
  const value = h("input", { name: "value", maxlength: 256, autocomplete: "off", spellcheck: "false" });
  const kind = h(
    "select",
    { name: "kind", onchange: () => hint() },
    Object.entries(TEXTS).map(([name, [title]]) => h("option", { value: name }, title)),
  );
  const hint = () => {
    value.placeholder = TEXTS[kind.value][1];
    value.setCustomValidity("");
  };
  const add = () => {
    const text = value.value.trim();
    if (!text) return;
    const [label, ...rest] = text.split("=");
    if (kind.value === LABEL && (!label || !rest.join("="))) {
      value.setCustomValidity("Write the label as name=value.");
      value.reportValidity();
      return;
    }
    value.value = "";
    if (kind.value === LABEL) choose({ filters: { [LABEL + label]: rest.join("=") } });
    else choose({ filters: { [kind.value]: text } });
  };
  value.addEventListener("input", hint);
  value.addEventListener("keydown", (event) => event.key === "Enter" && add());
  hint();
  return h(
    "div",
    { class: "by-text" },
    h("label", {}, h("span", {}, "By"), kind),
    h("label", {}, h("span", {}, "is"), value),
    h("button", { type: "button", onclick: add }, "Add"),
  );
}
