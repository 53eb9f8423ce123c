// One operation: what it takes, what it answers, and a way to try it.

import { h } from "../dashboard/dom.js";
import { lazily, prose, renderField, renderFields, resolve } from "./schema.js";
import { renderTry } from "./try.js";

/** An operation, whose parts are made when it is opened. */
export function renderOperation(operation, description) {
  const { method, path, summary, operationId } = operation;
  const title = [
    h("span", { class: `api-method ${method}` }, method.toUpperCase()),
    h("code", { class: "api-path" }, path),
    h("span", { class: "api-summary" }, summary),
  ];
  const make = () => [
    operation.description && h("p", {}, prose(operation.description)),
    ...renderParameters(operation, description),
    renderBodies(operation, description),
    renderAnswers(operation, description),
    renderTry(operation, description),
  ].filter(Boolean);
  return lazily(title, make, { id: operationId, class: "api-operation card" });
}

/** The parameters of the path and of the query; those in headers, which most leave out, below. */
function renderParameters(operation, description) {
  const all = operation.parameters.map((each) => resolve(each, description));
  const list = (shown) =>
    h(
      "dl",
      { class: "api-list" },
      shown.map((each) => {
        const schema = each.schema ?? Object.values(each.content)[0].schema;
        const told = { ...schema, description: each.description };
        return renderField(each.name, told, each.required, description);
      }),
    );
  const own = all.filter((each) => each.in !== "header");
  const headers = all.filter((each) => each.in === "header");
  return [
    own.length && part("Parameters", list(own)),
    headers.length && lazily(`${headers.length} headers that it reads`, () => list(headers)),
  ].filter(Boolean);
}

function part(title, ...children) {
  return h("div", { class: "api-part-of" }, h("h3", {}, title), ...children);
}

function renderBodies(operation, description) {
  const body = operation.requestBody;
  if (!body) return null;
  const forms = Object.entries(body.content).map(([type, content]) => [
    h("p", { class: "small muted" }, type, body.required ? ", required" : ", optional"),
    content.example !== undefined && code(content.example),
    lazily("Fields", () => renderFields(content.schema, description)),
  ]);
  return part("Body", ...forms.flat().filter(Boolean));
}

/** JSON as a block that can be scrolled by keyboard. */
function code(value) {
  const text = typeof value === "string" ? value : JSON.stringify(value, null, 2);
  return h("pre", { tabindex: "0", role: "group", "aria-label": "JSON" }, h("code", {}, text));
}

function renderAnswers(operation, description) {
  const answers = Object.entries(operation.responses).map(([status, given]) => {
    const answer = resolve(given, description);
    const title = [
      h("span", { class: `api-status s${status[0]}` }, status),
      h("span", {}, prose(answer.description)),
    ];
    return lazily(title, () => renderAnswer(answer, description), { class: "api-answer" });
  });
  return part("Answers", ...answers);
}

function renderAnswer(answer, description) {
  const contents = Object.entries(answer.content ?? {}).flatMap(([type, content]) => [
    h("p", { class: "small muted" }, type),
    content.schema?.description && h("p", { class: "small" }, prose(content.schema.description)),
    ...Object.values(content.examples ?? {})
      .slice(0, 1)
      .map((example) => code(example.value)),
    ...renderFields(content.schema ?? {}, description),
  ]);
  const headers = Object.entries(answer.headers ?? {}).map(([name, given]) => {
    const { schema, description: what } = resolve(given, description);
    return renderField(name, { ...schema, description: what }, false, description);
  });
  return [
    ...contents,
    headers.length && lazily("Headers", () => h("dl", { class: "api-list" }, headers)),
  ].filter(Boolean);
}
