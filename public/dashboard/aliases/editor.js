// The editor of an alias: a form for what most need, and its JSON for all of it.

import { h, replace } from "../dom.js";
import {
  area,
  choice,
  field,
  figure,
  given,
  group,
  line,
  numberOf,
  textOf,
  tick,
} from "../forms.js";
import { readTarget, targetFields } from "./targets.js";

const STRATEGIES = [
  ["", "One after the other; by weight where a target has one"],
  ["priority", "One after the other"],
  ["weighted", "By weight"],
  ["cheapest", "The cheapest first"],
  ["fastest", "The fastest first"],
  ["reliable", "The most reliable first"],
  ["balanced", "Balanced"],
];
const MODES = [
  ["prepend", "Before the caller’s"],
  ["replace", "In place of the caller’s"],
  ["default", "Where the caller has none"],
];
const NUMBERS = { temperature: "Temperature", maxTokens: "Max tokens", topP: "Top P" };
const WORDS = { reasoningEffort: "Effort" };
const FORM = "Form";
const JSON_TEXT = "JSON";

/** An editor for `alias`, an object with its fields. Returns its `element` and `read()`. */
export function editor(alias, models) {
  let draft = structuredClone(alias);
  let mode = FORM;
  const body = h("div", { class: "editor" });
  const element = h(
    "div",
    {},
    switcher((to) => {
      draft = read();
      mode = to;
      draw();
    }),
    h(
      "datalist",
      { id: "alias-models" },
      models.map((id) => h("option", { value: id })),
    ),
    body,
  );

  function read() {
    const form = element.closest("form");
    return mode === FORM ? readForm(form, draft) : readText(form);
  }

  function edit(change) {
    draft = read();
    change(draft.targets);
    draw();
  }

  function draw() {
    replace(body, mode === FORM ? formOf(draft, edit) : textOfAlias(draft));
  }

  draw();
  return { element, read };
}

/** change(mode): takes the reader there, and throws where that can't be. */
function switcher(change) {
  const place = h("fieldset", { class: "segments" }, h("legend", { class: "unseen" }, "Edit as"));
  let current = FORM;
  const problem = h("p", { class: "error", role: "alert" });
  for (const mode of [FORM, JSON_TEXT]) {
    const choose = () => {
      try {
        change(mode);
        current = mode;
        problem.textContent = "";
      } catch (error) {
        problem.textContent = error.message;
        for (const input of place.querySelectorAll("input"))
          input.checked = input.value === current;
      }
    };
    const its = {
      type: "radio",
      name: "edit-as",
      value: mode,
      checked: mode === FORM,
      onchange: choose,
    };
    place.append(h("label", {}, h("input", its), h("span", {}, mode)));
  }
  return [place, problem];
}

function textOfAlias(draft) {
  const control = area(JSON.stringify(draft, null, 2), { rows: 22, class: "mono" });
  return field("json", "The alias as JSON", control, {
    hint: "All fields, as PUT /admin/aliases/NAME takes them.",
    wide: true,
  });
}

function readText(form) {
  try {
    const found = JSON.parse(form.elements.json.value);
    if (!Array.isArray(found?.targets)) throw new Error("targets must be a list.");
    return found;
  } catch (error) {
    throw Object.assign(new Error(`This is no alias: ${error.message}`), { param: "json" });
  }
}

function formOf(alias, edit) {
  const changes = {
    remove: (place) => edit((targets) => targets.splice(place, 1)),
    raise: (place) => edit((targets) => targets.splice(place - 1, 0, ...targets.splice(place, 1))),
  };
  const { targets } = alias;
  const add = () => edit((all) => all.push({ model: "" }));
  return [
    group("What it is called", ...naming(alias)),
    targets.map((target, place) => targetFields(target, place, targets.length, changes)),
    h("p", {}, h("button", { type: "button", onclick: add }, "Add a target")),
    group("Order", ...order(alias)),
    group("System prompt", ...system(alias)),
    group("Parameters where the request says nothing", ...parameters(alias.defaults, "defaults")),
    group("Parameters whatever the request says", ...parameters(alias.fixed, "fixed")),
    group("Time and cache", ...timing(alias)),
  ];
}

function naming(alias) {
  const pattern = "[A-Za-z0-9][A-Za-z0-9_.:\\-]{0,63}";
  const name = line(alias.name, {
    required: true,
    pattern,
    readonly: "updatedAt" in alias,
    autofocus: true,
  });
  return [
    field("name", "Name", name, {
      hint: "Letters, digits and _ . : - . Callers write it where they write a model.",
    }),
    field("description", "Description", line(alias.description, { maxlength: 256 })),
  ];
}

function order(alias) {
  return [
    field("strategy", "Which target answers", choice(alias.strategy, STRATEGIES)),
    h(
      "div",
      { class: "form-field", "data-field": "fallback" },
      tick(
        "fallback",
        "Other providers may follow, as after a model that is named",
        alias.fallback,
      ),
      h("p", { class: "error" }),
    ),
  ];
}

function system(alias) {
  const text = area(alias.system, { rows: 3, maxlength: 16_000, spellcheck: "true" });
  return [
    field("system", "Text", text, { wide: true }),
    field("systemMode", "Where it stands", choice(alias.systemMode ?? "prepend", MODES)),
  ];
}

function parameters(its, at) {
  return [
    ...Object.entries(NUMBERS).map(([name, label]) =>
      field(`${at}.${name}`, label, figure(its?.[name], { min: 0, step: "any" })),
    ),
    ...Object.entries(WORDS).map(([name, label]) =>
      field(`${at}.${name}`, label, line(its?.[name])),
    ),
  ];
}

function timing(alias) {
  const modes = [
    ["", "As it is"],
    ["refresh", "Ask anew and keep"],
    ["off", "Neither look nor keep"],
  ];
  const mode = alias.cache?.mode === "default" ? "" : alias.cache?.mode;
  return [
    field(
      "timeout",
      "Time for an answer, in ms",
      figure(alias.timeout, { min: 1, max: 600_000, step: 1 }),
    ),
    field(
      "cache.ttl",
      "Answers are fresh for, in s",
      figure(alias.cache?.ttl, { min: 1, step: 1 }),
    ),
    field("cache.mode", "Cache", choice(mode, modes)),
  ];
}

function readForm(form, draft) {
  const of = (name) => form.elements[name];
  const set = (at) => {
    const numbers = Object.keys(NUMBERS).map((name) => [name, numberOf(of(`${at}.${name}`))]);
    const words = Object.keys(WORDS).map((name) => [name, textOf(of(`${at}.${name}`))]);
    return given({ ...draft[at], ...Object.fromEntries([...numbers, ...words]) });
  };
  const text = textOf(of("system"));
  return given({
    ...draft,
    name: textOf(of("name")),
    description: textOf(of("description")),
    targets: draft.targets.map((target, place) => readTarget(form, target, place)),
    strategy: textOf(of("strategy")),
    fallback: of("fallback").checked || null,
    defaults: set("defaults"),
    fixed: set("fixed"),
    system: text,
    systemMode: text && of("systemMode").value,
    timeout: numberOf(of("timeout")),
    cache: given({ ttl: numberOf(of("cache.ttl")), mode: textOf(of("cache.mode")) }),
  });
}
