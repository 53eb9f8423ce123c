// The fields of an alias's targets: the models that it stands for, and when.

import { h } from "../dom.js";
import { area, field, figure, given, line, listOf, numberOf, textOf, tick } from "../forms.js";
import { budgetFields, readBudget } from "../money.js";

const NEEDS = { vision: "an image", tools: "tools", json: "a JSON schema", reasoning: "an effort" };

/** The fields of the target in that place. changes: `remove`, `raise`, which take the place. */
export function targetFields(target, place, count, changes) {
  const at = `targets[${place}]`;
  const said = `target ${place + 1}`;
  const button = (word, act) =>
    h(
      "button",
      {
        type: "button",
        class: "quiet",
        "aria-label": `${word} ${said}`,
        onclick: () => act(place),
      },
      word,
    );
  const models = {
    list: "alias-models",
    required: true,
    placeholder: "provider/model",
    spellcheck: "false",
  };
  return h(
    "fieldset",
    { class: "form-group target" },
    h("legend", {}, `Target ${place + 1}`),
    h(
      "div",
      { class: "target-tools" },
      place > 0 && button("Move up", changes.raise),
      count > 1 && button("Remove", changes.remove),
    ),
    h(
      "div",
      { class: "form-grid" },
      field(`${at}.model`, "Model", line(target.model, models), {
        hint: "provider/model, a tier, or provider/tier.",
      }),
      field(`${at}.weight`, "Weight", figure(target.weight, { min: 0, step: "any" }), {
        hint: "Its share of the requests.",
      }),
    ),
    h(
      "details",
      { open: Boolean(target.limit || target.budget) },
      h("summary", {}, "Limit and budget, of all callers together"),
      h("div", { class: "form-grid" }, allowance(target, at)),
    ),
    h(
      "details",
      { open: Boolean(target.when) },
      h("summary", {}, "Only for some requests"),
      h("div", { class: "form-grid" }, conditions(target.when ?? {}, `${at}.when`)),
    ),
  );
}

function allowance({ limit, budget, id }, at) {
  return [
    field(`${at}.limit.perHour`, "Requests an hour", figure(limit?.perHour, { min: 1, step: 1 })),
    field(`${at}.limit.burst`, "Requests at once", figure(limit?.burst, { min: 1, step: 1 })),
    budgetFields(budget, `${at}.budget`),
    field(`${at}.id`, "Counted as", line(id, { placeholder: "the model’s name" }), {
      hint: "What was used stays with this name, whatever becomes of the model.",
    }),
  ];
}

function conditions(when, at) {
  const ticks = Object.entries(NEEDS).map(([need, word]) =>
    tick(`${at}.needs`, word, when.needs?.includes(need), { value: need }),
  );
  const { min, max } = when.promptTokens ?? {};
  return [
    field(`${at}.users`, "Users", line(when.users?.join(", ")), {
      hint: "Names or patterns with *, between commas.",
    }),
    field(`${at}.keys`, "Keys", line(when.keys?.join(", ")), { hint: "Ids between commas." }),
    field(`${at}.metadata`, "Labels", area(writeLabels(when.metadata), { rows: 2 }), {
      hint: "One name=value a line. A name that comes again may have either value.",
    }),
    h(
      "fieldset",
      { class: "ticks", "data-field": `${at}.needs` },
      h("legend", {}, "Requests with"),
      ticks,
      h("p", { class: "error" }),
    ),
    field(`${at}.promptTokens.min`, "Tokens of the prompt, from", figure(min, { min: 0, step: 1 })),
    field(`${at}.promptTokens.max`, "to", figure(max, { min: 0, step: 1 })),
  ];
}

/** What stands in the fields of that place, on what `target` has beside it. */
export function readTarget(form, target, place) {
  const at = `targets[${place}]`;
  const of = (name) => form.elements[`${at}.${name}`];
  const limit = { perHour: numberOf(of("limit.perHour")), burst: numberOf(of("limit.burst")) };
  return given({
    ...target,
    model: textOf(of("model")) ?? "",
    id: textOf(of("id")),
    weight: numberOf(of("weight")),
    limit: given(limit),
    budget: readBudget(form, `${at}.budget`),
    when: given({ ...target.when, ...readConditions(form, target.when ?? {}, `${at}.when`) }),
  });
}

function readConditions(form, when, at) {
  const of = (name) => form.elements[`${at}.${name}`];
  const needs = [...form.querySelectorAll(`[name="${at}.needs"]:checked`)].map(
    ({ value }) => value,
  );
  const labels = of("metadata").value;
  return {
    users: listOf(of("users")),
    keys: listOf(of("keys")),
    // What the lines can't say, a name with an equals sign, stays as long as nobody edits them.
    metadata: labels === writeLabels(when.metadata) ? (when.metadata ?? null) : readLabels(labels),
    needs: needs.length ? needs : null,
    promptTokens: given({
      min: numberOf(of("promptTokens.min")),
      max: numberOf(of("promptTokens.max")),
    }),
  };
}

function writeLabels(metadata) {
  return Object.entries(metadata ?? {})
    .flatMap(([name, its]) => [its].flat().map((value) => `${name}=${value}`))
    .join("\n");
}

function readLabels(text) {
  const found = {};
  for (const written of text.split("\n").filter((one) => one.trim())) {
    const [name, ...rest] = written.split("=");
    (found[name.trim()] ??= []).push(rest.join("=").trim());
  }
  const one = ([name, values]) => [name, values.length === 1 ? values[0] : values];
  return given(Object.fromEntries(Object.entries(found).map(one)));
}
