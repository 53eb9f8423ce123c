// Tables, and the parts of a panel that are the same everywhere: its note, its gap, its trouble.

import { h, icon, replace } from "./dom.js";
import { name, percent, share } from "./format.js";
import { choose, state } from "./state.js";

/**
 * A table. columns: `title`, `cell(row)` and optionally `number` (set in figures), `row` (names the
 * row), `extra` (left out where there is little room).
 */
export function table(caption, columns, rows) {
  const style = ({ number, extra }) =>
    [number && "number", extra && "extra"].filter(Boolean).join(" ") || null;
  const head = columns.map((c) => h("th", { scope: "col", class: style(c) }, c.title));
  const body = rows.map((row) =>
    h(
      "tr",
      {},
      columns.map((c) =>
        h(c.row ? "th" : "td", { class: style(c), scope: c.row ? "row" : null }, c.cell(row)),
      ),
    ),
  );
  return h(
    "div",
    { class: "scroll", tabindex: "0", role: "group", "aria-label": caption },
    h(
      "table",
      {},
      h("caption", { class: "unseen" }, caption),
      h("thead", {}, h("tr", {}, head)),
      h("tbody", {}, body),
    ),
  );
}

/** A name that narrows everything to itself when it is pressed. */
export function narrowing(dimension, value) {
  const shown = name(value);
  if (
    value === null ||
    value === undefined ||
    value === "" ||
    state.filters[dimension] === String(value)
  ) {
    return h("span", { class: "name" }, shown);
  }
  return h(
    "button",
    {
      type: "button",
      class: "link name",
      title: `Show only ${dimension} ${shown}`,
      "data-focus": `${dimension}:${shown}`,
      onclick: () => choose({ filters: { [dimension]: String(value) } }),
    },
    shown,
  );
}

/** A share of the whole as a bar with its figure beside it. */
export function bar(part, whole) {
  const portion = share(part, whole) ?? 0;
  return h(
    "span",
    { class: "bar-cell" },
    h("span", {
      class: "meter",
      "aria-hidden": "true",
      "--share": `${(portion * 100).toFixed(1)}%`,
    }),
    h("span", {}, percent(portion)),
  );
}

/** Fills a panel: its note beside the title, and its body. */
export function fillPanel(panel, note, ...content) {
  panel.querySelector("[data-note]").textContent = note;
  panel.removeAttribute("aria-busy");
  replace(panel.querySelector("[data-body]"), ...content);
}

/** Says that there is nothing, and what brings something. */
export function nothing(text) {
  return h("p", { class: "nothing" }, text);
}

/** What went wrong, and what to do, in the place of a panel's content. */
export function failure(error, again) {
  return h(
    "div",
    { class: "nothing bad-text" },
    h("p", {}, icon("warn"), ` ${error.message}`),
    h("p", { class: "muted" }, advice(error)),
    again && h("p", {}, h("button", { type: "button", onclick: again }, "Try again")),
  );
}

function advice({ status }) {
  if (status === 0) return "It is asked again at the next refresh.";
  if (status === 403) return "Sign in with the admin token to see this.";
  if (status === 404) return "This deployment does not offer it. Deploy the current version.";
  if (status === 429) return "Too many requests. Refresh less often.";
  return "The Worker’s log tells more.";
}

/** Grey bars where content will be. */
export function waiting(panel, lines = 4) {
  panel.setAttribute("aria-busy", "true");
  const bars = Array.from({ length: lines }, () => h("span", { class: "skeleton line" }));
  replace(panel.querySelector("[data-body]"), h("div", { class: "lines" }, bars));
}
