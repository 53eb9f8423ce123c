// What goes along with every request of the playground: models, system prompt, parameters, tools.

import { h, icon, replace } from "../dom.js";
import { area, choice, field, figure, group, line, numberOf, textOf, tick } from "../forms.js";

const MOST_MODELS = 3;
const EXAMPLE =
  '[{"type": "function", "function": {"name": "weather",\n' +
  '  "parameters": {"type": "object", "properties": {"city": {"type": "string"}}}}}]';
const STRATEGIES = ["priority", "cheapest", "fastest", "reliable", "balanced"];

/**
 * The form. changed(): called after each change; regroup(removed): where a model is another, there is
 * one more, or the one in the place `removed` is no more. Returns its `element`, `models()` and
 * `read()`; `choose(model)` has that one alone, `list(ids)` offers some.
 */
export function options(changed, regroup) {
  let models = [""];
  const list = h("datalist", { id: "model-list" });
  const places = h("div", { class: "models" });
  const adding = { type: "button", class: "quiet", onclick: () => set([...models, ""]) };
  const another = h("button", adding, "Compare with another model");
  const element = h(
    "form",
    {
      id: "ask",
      class: "card form padded",
      oninput: changed,
      onsubmit: (event) => event.preventDefault(),
    },
    h("div", { role: "group", "aria-label": "Models" }, places, another),
    list,
    more(),
  );

  function set(next, removed) {
    models = next;
    draw();
    regroup(removed);
  }

  function draw() {
    replace(places, models.map(row));
    another.hidden = models.length >= MOST_MODELS;
  }

  function row(model, place) {
    const control = line(model, {
      name: `model-${place}`,
      list: "model-list",
      placeholder: "auto",
      maxlength: 256,
      spellcheck: "false",
      oninput: () => {
        models[place] = control.value.trim();
        regroup();
      },
    });
    const removal = h(
      "button",
      {
        type: "button",
        class: "icon",
        "aria-label": `Remove model ${place + 1}`,
        onclick: () =>
          set(
            models.filter((_, other) => other !== place),
            place,
          ),
      },
      icon("close"),
    );
    const label = models.length > 1 ? `Model ${place + 1}` : "Model, tier, alias or provider/model";
    return h(
      "div",
      { class: "model-row" },
      field(`model-${place}`, label, control),
      models.length > 1 && removal,
    );
  }

  draw();
  return {
    element,
    models: () => models,
    choose: (model) => set([model]),
    list: (ids) => list.replaceChildren(...ids.map((id) => h("option", { value: id }))),
    read: () => readOptions(element),
  };
}

/** What is less often changed: out of the way where there is little room. */
function more() {
  const text = area("", { rows: 3, spellcheck: "true", placeholder: "none" });
  return h(
    "details",
    { open: !matchMedia("(max-width: 860px)").matches },
    h("summary", {}, "System prompt, parameters, tools"),
    h(
      "div",
      { class: "form" },
      field("system", "System prompt", text, { wide: true }),
      parameters(),
      tools(),
    ),
  );
}

function parameters() {
  const each = [
    field(
      "temperature",
      "Temperature",
      figure(null, { min: 0, max: 2, step: 0.1, placeholder: "default" }),
    ),
    field("maxTokens", "Max tokens", figure(null, { min: 1, step: 1, placeholder: "default" })),
    field("topP", "Top P", figure(null, { min: 0, max: 1, step: 0.05, placeholder: "default" })),
    field(
      "strategy",
      "Strategy",
      choice("", [["", "deployment’s"], ...STRATEGIES.map((one) => [one, one])]),
    ),
    field(
      "cache",
      "Cache",
      choice("", [
        ["", "default"],
        ["refresh", "refresh"],
        ["off", "off"],
      ]),
    ),
  ];
  return group(
    "Parameters",
    each,
    h(
      "div",
      { class: "ticks whole" },
      tick("stream", "Stream", true),
      tick("fallback", "Fall back to other providers", true),
    ),
  );
}

function tools() {
  const text = area("", { rows: 6, class: "mono", placeholder: EXAMPLE });
  const choices = ["auto", "none", "required"].map((one) => [one, one]);
  return h(
    "details",
    {},
    h("summary", {}, "Tools"),
    field("tools", "Tools as JSON", text, {
      hint: "A list in OpenAI’s form. You type the results.",
      wide: true,
    }),
    field("toolChoice", "Tool choice", choice("", [["", "default"], ...choices]), { wide: true }),
  );
}

/** The fields of a request. Throws what names the field that is wrong. */
function readOptions(form) {
  const of = (name) => form.elements[name];
  const number = (name) => numberOf(of(name)) ?? undefined;
  const text = (name) => textOf(of(name)) ?? undefined;
  return {
    system: text("system"),
    temperature: number("temperature"),
    maxTokens: number("maxTokens"),
    topP: number("topP"),
    tools: readTools(text("tools")),
    toolChoice: text("toolChoice"),
    strategy: text("strategy"),
    cache: text("cache") && { mode: text("cache") },
    fallback: of("fallback").checked ? undefined : false,
    stream: of("stream").checked || undefined,
  };
}

function readTools(text) {
  if (!text) return undefined;
  try {
    const tools = JSON.parse(text);
    if (!Array.isArray(tools)) throw new Error("it must be a list.");
    return tools;
  } catch (error) {
    throw Object.assign(new Error(`This is no list of tools: ${error.message}`), {
      param: "tools",
    });
  }
}
