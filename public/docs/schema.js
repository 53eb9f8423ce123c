// Schemas as lists of fields, which open one level at a time.

import { h } from "../dashboard/dom.js";

/** What a reference of the description refers to; anything else is itself. */
export function resolve(thing, description) {
  if (!thing?.$ref) return thing ?? {};
  const found = thing.$ref
    .slice(2)
    .split("/")
    .reduce((part, name) => part[name], description);
  return { name: thing.$ref.split("/").pop(), ...found };
}

const LIMITS = {
  minimum: "≥ ",
  maximum: "≤ ",
  minLength: "characters ≥ ",
  maxLength: "characters ≤ ",
  minItems: "items ≥ ",
  maxItems: "items ≤ ",
  maxProperties: "fields ≤ ",
  default: "default ",
};

/** A schema's type in a few words. */
function typeOf(given, description) {
  const schema = resolve(given, description);
  if ("const" in schema) return JSON.stringify(schema.const);
  if (schema.enum) return schema.enum.map((value) => JSON.stringify(value)).join(" | ");
  const options = schema.anyOf ?? schema.oneOf;
  if (options && !schema.properties) {
    return [...new Set(options.map((each) => typeOf(each, description)))]
      .filter((type) => type && type !== "null")
      .join(" | ");
  }
  if (schema.allOf) return schema.allOf.map((each) => typeOf(each, description)).join(" & ");
  const types = [schema.type ?? (schema.properties ? "object" : "any")].flat();
  const named = types.map((type) => {
    if (type === "array") return `list of ${typeOf(schema.items, description)}`;
    return type === "object" && given.$ref ? resolve(given, description).name : type;
  });
  return named.filter((type) => type !== "null").join(" | ");
}

/** What a schema demands beside its type. */
function limitsOf(schema) {
  const told = Object.entries(LIMITS)
    .filter(([name]) => schema[name] !== undefined)
    .map(([name, word]) => word + (name === "default" ? JSON.stringify(schema[name]) : schema[name]));
  if (schema.format) told.push(schema.format);
  return told.join(", ");
}

/** The schemas below one that have fields: its own, its items', its options'. */
function inner(given, description) {
  const schema = resolve(given, description);
  if (schema.properties) return [schema];
  const below = schema.anyOf ?? schema.oneOf ?? schema.allOf ?? [];
  const values = typeof schema.additionalProperties === "object" ? [schema.additionalProperties] : [];
  return [...below, ...(schema.items ? [schema.items] : []), ...values].flatMap((each) =>
    inner(each, description),
  );
}

/** A text whose code stands between backticks. */
export function prose(text = "") {
  return text.split("`").map((part, index) => (index % 2 ? h("code", {}, part) : part));
}

/** A list of fields: each with its type, its limits and its meaning. */
export function renderFields(given, description) {
  return inner(given, description).map((schema, index, all) =>
    h(
      "div",
      { class: "api-fields" },
      all.length > 1 && h("p", { class: "small muted" }, schema.name ?? `form ${index + 1}`),
      h(
        "dl",
        {},
        Object.entries(schema.properties).map(([name, field]) =>
          renderField(name, field, schema.required?.includes(name), description),
        ),
      ),
    ),
  );
}

/** A field, or a parameter. */
export function renderField(name, field, required, description) {
  const schema = resolve(field, description);
  const beside = limitsOf(schema);
  const deeper = inner(field, description).length > 0;
  return [
    h(
      "dt",
      {},
      h("code", {}, name),
      required && h("span", { class: "tag warn" }, "required"),
      h("span", { class: "muted small" }, typeOf(field, description), beside && `, ${beside}`),
    ),
    h(
      "dd",
      {},
      h("p", { class: "small" }, prose(field.description)),
      deeper && lazily(`Fields of ${name}`, () => renderFields(field, description)),
    ),
  ];
}

/** A part that is made when it is opened: schemas may hold themselves. */
export function lazily(title, make, attributes = {}) {
  const body = h("div", { class: "api-part" });
  const details = h("details", attributes, h("summary", {}, title), body);
  details.addEventListener("toggle", () => {
    if (details.open && !body.hasChildNodes()) body.append(...[make()].flat(Infinity));
  });
  return details;
}
