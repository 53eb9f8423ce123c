// Sends an operation to this address, with the key that the page holds in its memory.

import { at, h } from "../dashboard/dom.js";
import { resolve } from "./schema.js";

const MOST = 200_000;
/** Characters of an answer that are shown. */

/** The form that tries an operation. */
export function renderTry(operation, description) {
  const asked = operation.parameters
    .map((each) => resolve(each, description))
    .filter((each) => each.in !== "header");
  const inputs = asked.map((each) => ({ ...each, input: makeInput(operation, each) }));
  const body = makeBody(operation);
  const output = h("div", { class: "api-output", role: "status" });
  const form = h(
    "form",
    { class: "api-try" },
    h(
      "div",
      { class: "api-inputs" },
      inputs.map(({ name, required, input }) =>
        h("label", {}, h("span", {}, name, required ? " (required)" : ""), input),
      ),
    ),
    body && h("label", { class: "api-body" }, h("span", {}, "Body"), body),
    h(
      "div",
      { class: "row" },
      h("button", { class: "primary", type: "submit" }, "Send"),
      h("button", { type: "button", onclick: (event) => copy(event.target, operation, inputs, body) }, "Copy as curl"),
    ),
    output,
  );
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    send(operation, inputs, body, output, form.querySelector(".primary"));
  });
  return h("div", { class: "api-part-of" }, h("h3", {}, "Try it"), form);
}

function makeInput(operation, parameter) {
  const values = parameter.schema?.enum;
  const attributes = { name: parameter.name, required: parameter.required, autocomplete: "off" };
  if (!values) return h("input", { ...attributes, type: "text", spellcheck: "false" });
  return h("select", attributes, h("option", { value: "" }, ""), values.map((v) => h("option", {}, v)));
}

function makeBody(operation) {
  const content = operation.requestBody?.content ?? {};
  const example = content["application/json"]?.example;
  if (!operation.requestBody || !(content["application/json"] ?? content["*/*"])) return null;
  const text = example === undefined ? "" : JSON.stringify(example, null, 2);
  const area = h("textarea", { rows: "6", spellcheck: "false" });
  area.value = text;
  return area;
}

/** The address with what was filled in. */
function address(operation, inputs) {
  let path = operation.path;
  const query = new URLSearchParams();
  for (const { name, in: place, input } of inputs) {
    // The path at a provider has slashes of its own.
    const value = name === "path" ? encodeURI(input.value) : encodeURIComponent(input.value);
    if (place === "path") path = path.replace(`{${name}}`, () => value);
    else if (input.value) query.set(name, input.value);
  }
  return path + (query.size ? `?${query}` : "");
}

function request(operation, body) {
  const headers = {};
  if (at("key").value) headers.authorization = `Bearer ${at("key").value}`;
  if (body?.value) headers["content-type"] = "application/json";
  return { method: operation.method.toUpperCase(), headers, body: body?.value || undefined };
}

async function copy(button, operation, inputs, body) {
  const { method, body: data } = request(operation, body);
  const quote = (text) => `'${text.replaceAll("'", String.raw`'\''`)}'`;
  const parts = [`curl -X ${method} ${quote(location.origin + address(operation, inputs))}`];
  if (operation.security?.length !== 0) parts.push(`-H "authorization: Bearer $KEY"`);
  if (data) parts.push("-H 'content-type: application/json'", `-d ${quote(data)}`);
  await navigator.clipboard.writeText(parts.join(" \\\n  "));
  button.textContent = "Copied";
}

async function send(operation, inputs, body, output, button) {
  const shown = h("code", {});
  const head = h("p", { class: "small muted" }, "Sending…");
  output.replaceChildren(head, h("pre", { tabindex: "0", role: "group", "aria-label": "Answer" }, shown));
  button.disabled = true;
  try {
    const began = performance.now();
    const answer = await fetch(address(operation, inputs), request(operation, body));
    const type = answer.headers.get("content-type") ?? "";
    head.textContent = `${answer.status} ${answer.statusText}, ${Math.round(performance.now() - began)} ms, ${type}`;
    await pour(answer, shown);
    if (type.startsWith("application/json")) {
      shown.textContent = JSON.stringify(JSON.parse(shown.textContent), null, 2);
    }
  } catch (error) {
    head.textContent = error.message;
  } finally {
    button.disabled = false;
  }
}

/** Shows a body as it comes. */
async function pour(answer, shown) {
  const reader = answer.body?.pipeThrough(new TextDecoderStream()).getReader();
  for (let text = ""; reader && text.length < MOST; ) {
    const { value, done } = await reader.read();
    if (done) return;
    text += value;
    shown.textContent = text;
  }
  reader?.cancel();
}
