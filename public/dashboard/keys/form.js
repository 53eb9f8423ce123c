// The form of a key: of a new one, and of one that is there.

import { h } from "../dom.js";
import {
  area,
  choice,
  field,
  figure,
  given,
  group,
  line,
  listOf,
  numberOf,
  textOf,
} from "../forms.js";
import { budgetFields, readBudget } from "../money.js";

const ROLES = [
  ["user", "User: calls models"],
  ["viewer", "Viewer: reads, calls no model"],
  ["admin", "Admin: everything"],
];
const LIMITS = {
  perHour: ["Requests an hour", "At each provider."],
  burst: ["Requests at once", "At each provider."],
  requestsPerMinute: ["Requests a minute", "Of any kind, answers from the cache too."],
  tokensPerMinute: ["Tokens a minute", "Input and output, at all providers together."],
};
const PLAIN = ["name", "note", "team", "tags", "role", "providers", "models", "cacheScope"];

/** The fields, filled with those of `key`; an empty object for a new one. */
export function keyFields(key) {
  const isNew = key.id === undefined;
  return [
    group("Who", isNew && userField(), ...identity(key)),
    group("What it may use", ...grants(key)),
    group(
      "Limits",
      ...Object.entries(LIMITS).map(([name, [label, hint]]) =>
        field(`limits.${name}`, label, figure(key.limits?.[name], { min: 0, step: 1 }), { hint }),
      ),
    ),
    group("Budget", ...budgetFields(key.budget)),
    more(key),
  ];
}

function userField() {
  const control = line("", { required: true, maxlength: 256, autofocus: true });
  return field("user", "User", control, {
    hint: "Limits, cache entries and figures belong to it. It can’t be changed later.",
  });
}

function identity(key) {
  return [
    field("name", "Name", line(key.name, { maxlength: 256 }), { hint: "For you: “laptop”, “CI”." }),
    field("team", "Team", line(key.team, { maxlength: 256 })),
    field("tags", "Tags", line(key.tags?.join(", ")), { hint: "Between commas." }),
    field("role", "Role", choice(key.role ?? "user", ROLES)),
    field("note", "Note", line(key.note, { maxlength: 256 })),
  ];
}

function grants(key) {
  const providers = line(key.providers?.join(", "), { placeholder: "all" });
  const models = area(key.models?.join("\n"), { rows: 2, placeholder: "all" });
  return [
    field("providers", "Providers", providers, { hint: "Names between commas." }),
    field("models", "Models", models, {
      hint: "One a line: provider/model, an alias, or a pattern such as openai/*.",
    }),
  ];
}

function more(key) {
  const scopes = [
    ["", "The deployment’s"],
    ["tenant", "Its user’s own entries"],
    ["shared", "Everybody’s entries"],
  ];
  const passing = [
    ["", "If it has no budget"],
    ["yes", "Yes"],
    ["no", "No"],
  ];
  const asked = key.id === undefined ? "" : key.passthrough ? "yes" : "no";
  const until = h("input", { type: "datetime-local", step: 60, value: localTime(key.expiresAt) });
  return group(
    "More",
    field("expiresAt", "Expires", until, { hint: "In your time zone. Empty: never." }),
    field("cacheScope", "Cache", choice(key.cacheScope, scopes)),
    field("passthrough", "Requests passed on as they are", choice(asked, passing)),
  );
}

/** The body of POST, from the form of a new key. */
export function readNew(form) {
  return given({ user: textOf(form.elements.user), ...readFields(form) });
}

/** The body of PATCH: what differs from `key`; null takes a field out. Null where nothing does. */
export function readChanges(form, key) {
  const after = readFields(form);
  const before = {
    ...Object.fromEntries(PLAIN.map((name) => [name, blank(key[name])])),
    limits: given(key.limits ?? {}),
    budget: given(key.budget ?? {}),
    passthrough: key.passthrough,
    expiresAt: key.expiresAt && new Date(localTime(key.expiresAt)).toISOString(),
  };
  const changed = Object.entries(after).filter(
    ([name, its]) => JSON.stringify(its ?? null) !== JSON.stringify(before[name] ?? null),
  );
  // Whole, with null for what is not there: it means the same, replaced or merged.
  const whole = { limits: Object.keys(LIMITS), budget: ["day", "month"] };
  const filled = ([name, its]) => [
    name,
    its && whole[name]
      ? Object.fromEntries(whole[name].map((part) => [part, its[part] ?? null]))
      : its,
  ];
  return changed.length ? Object.fromEntries(changed.map(filled)) : null;
}

function readFields(form) {
  const { elements } = form;
  const limits = Object.keys(LIMITS).map((name) => [name, numberOf(elements[`limits.${name}`])]);
  const until = textOf(elements.expiresAt);
  return {
    name: textOf(elements.name),
    note: textOf(elements.note),
    team: textOf(elements.team),
    tags: listOf(elements.tags),
    role: elements.role.value,
    providers: listOf(elements.providers),
    models: listOf(elements.models),
    limits: given(Object.fromEntries(limits)),
    budget: readBudget(form),
    cacheScope: textOf(elements.cacheScope),
    passthrough: { yes: true, no: false }[elements.passthrough.value] ?? null,
    expiresAt: until && new Date(until).toISOString(),
  };
}

function blank(its) {
  return its === undefined || its === "" || its?.length === 0 ? null : its;
}

/** A moment as the control for one has it: in the reader's time zone, to the minute. */
function localTime(moment) {
  if (!moment) return "";
  const date = new Date(moment);
  return new Date(date - date.getTimezoneOffset() * 60_000).toISOString().slice(0, 16);
}
