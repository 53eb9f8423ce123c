// The API as /openapi.json describes it: its sections, the search, and the addresses of operations.

import { at, h } from "../dashboard/dom.js";
import { renderOperation } from "./operation.js";
import { prose } from "./schema.js";

const METHODS = ["get", "post", "put", "patch", "delete"];

/** All operations in the order of the sections. */
function list(description) {
  const order = description.tags.map((tag) => tag.name);
  return Object.entries(description.paths)
    .flatMap(([path, item]) =>
      METHODS.filter((method) => item[method]).map((method) => ({
        ...item[method],
        path,
        method,
        parameters: [...(item.parameters ?? []), ...(item[method].parameters ?? [])],
        tag: item[method].tags[0],
      })),
    )
    .sort((a, b) => order.indexOf(a.tag) - order.indexOf(b.tag));
}

/** What an operation is found by. */
function words(operation) {
  const names = operation.parameters.map((each) => each.name ?? each.$ref.split("/").pop());
  const { method, path, summary, description, operationId, tag } = operation;
  return [method, path, summary, description, operationId, tag, ...names].join(" ").toLowerCase();
}

function renderSection(tag, operations, description) {
  const id = `section-${tag.name}`;
  return h(
    "section",
    { "aria-labelledby": id },
    h("h2", { id, tabindex: "-1" }, tag.name),
    h("p", { class: "muted" }, tag.description),
    operations.map((operation) => {
      const element = renderOperation(operation, description);
      element.words = words(operation);
      return element;
    }),
  );
}

/** Shows the operations that hold all words, and the sections that have any. */
function search(text) {
  const wanted = text.toLowerCase().split(/\s+/).filter(Boolean);
  let found = 0;
  for (const section of document.querySelectorAll("#operations section")) {
    const all = [...section.querySelectorAll(".api-operation")];
    for (const each of all) each.hidden = !wanted.every((word) => each.words.includes(word));
    const shown = all.filter((each) => !each.hidden).length;
    section.hidden = shown === 0;
    at(`link-${section.getAttribute("aria-labelledby")}`).hidden = shown === 0;
    found += shown;
  }
  at("found").textContent = found === 1 ? "1 operation" : `${found} operations`;
}

/** Opens the operation that the address names. */
function follow() {
  const element = location.hash && document.getElementById(location.hash.slice(1));
  if (!element) return;
  if (element.matches("details")) {
    element.open = true;
    element.querySelector("summary").focus({ preventScroll: true });
  }
  element.scrollIntoView();
}

function show(description) {
  at("version").textContent = description.info.version;
  at("about").append(...prose(description.info.description));
  const operations = list(description);
  for (const tag of description.tags) {
    const own = operations.filter((operation) => operation.tag === tag.name);
    const id = `section-${tag.name}`;
    at("sections").append(
      h("a", { id: `link-${id}`, href: `#${id}` }, tag.name, h("span", {}, String(own.length))),
    );
    at("operations").append(renderSection(tag, own, description));
  }
  at("search").addEventListener("input", (event) => search(event.target.value));
  addEventListener("hashchange", follow);
  search(at("search").value);
  follow();
}

addEventListener("keydown", (event) => {
  const writes = event.target.closest?.("input, textarea, select");
  if (event.key !== "/" || writes || event.ctrlKey || event.metaKey) return;
  event.preventDefault();
  at("search").focus();
});
at("theme").addEventListener("click", () =>
  document.documentElement.dispatchEvent(new Event("theme-next")),
);

async function begin() {
  try {
    const answer = await fetch("/openapi.json");
    if (!answer.ok) throw new Error(`/openapi.json answered ${answer.status}`);
    show(await answer.json());
  } catch (error) {
    at("found").textContent = `The description can't be read: ${error.message}`;
  }
}
begin();
