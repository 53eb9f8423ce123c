// Tables, and the parts of a panel that are the same everywhere: its note, its gap, its trouble.

import { h, icon, replace } from "./dom.js";
import { name, percent, share } from "./format.js";
import { choose, state } from "./state.js";

/**
 * A table. columns: `title`, `cell(row)` and optionally `number` (set in figures), `row` (names the
 * row), `extra` (left out where there is little room), `half` (wide in a card). `cards`: on a phone
 * each row is a card, with the titles beside the cells.
 */
export function table(caption, columns, rows, { cards = false } = {}) {
  const style = ({ number, extra, half }) =>
    [number && "number", extra && "extra", half && "half"].filter(Boolean).join(" ") || null;
  const head = columns.map((c) =>
    h("th", { scope: "col", class: style(c), role: "columnheader" }, c.title),
  );
  const body = rows.map((row) => h("tr", { role: "row" }, columns.map((c) => cell(c, row, style(c)))));
  return h(
    "div",
    { class: "scroll", tabindex: "0", role: "group", "aria-label": caption },
    h(
      "table",
      { class: cards ? "cards" : null, role: "table" },
      h("caption", { class: "unseen" }, caption),
      h("thead", { role: "rowgroup" }, h("tr", { role: "row" }, head)),
      h("tbody", { role: "rowgroup" }, body),
    ),
  );
}

/** The roles are those of the elements: a browser forgets them where a row is shown as a card. */
function cell(column, row, style) {
  const attributes = column.row
    ? { scope: "row", role: "rowheader" }
    : { role: "cell", "data-label": column.title };
  return h(column.row ? "th" : "td", { class: style, ...attributes }, column.cell(row));
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
      "--share": `${(Math.min(portion, 1) * 100).toFixed(1)}%`,
    }),
    h("span", {}, percent(portion)),
  );
}

/** A card with a title: `data-note` beside it is for a few words, `data-body` for the content. */
export function panel(id, title, style = "") {
  return h(
    "section",
    { id, class: `card ${style}`, "aria-labelledby": `${id}-title` },
    h("header", {}, h("h2", { id: `${id}-title` }, title), h("span", { class: "muted", "data-note": "" })),
    h("div", { "data-body": "" }),
  );
}

/** Fills a panel: its note beside the title, and its body. */
export function fillPanel(place, note, ...content) {
  place.querySelector("[data-note]").textContent = note;
  place.removeAttribute("aria-busy");
  replace(place.querySelector("[data-body]"), ...content);
}

const whole = new Set(); // the panels that the reader has opened

/**
 * Fills a panel with what `draw(items)` makes of the first `most` items, fewer on a phone, and of
 * all on request.
 */
export function fillWithFirst(most, place, note, items, draw, ...after) {
  const few = matchMedia("(max-width: 700px)").matches ? Math.min(3, most) : most;
  const show = () => {
    const all = whole.has(place.id);
    const turn = () => {
      if (!whole.delete(place.id)) whole.add(place.id);
      show();
    };
    const more = h(
      "button",
      {
        type: "button",
        class: "quiet",
        "aria-expanded": String(all),
        "data-focus": `more:${place.id}`,
        onclick: turn,
      },
      all ? "Show fewer" : `Show ${items.length - few} more`,
    );
    fillPanel(
      place,
      note,
      draw(all ? items : items.slice(0, few)),
      items.length > few && h("p", { class: "more" }, more),
      ...after,
    );
  };
  show();
}

/** Says that there is nothing, and what brings something: texts and elements. */
export function nothing(...content) {
  return h("p", { class: "nothing" }, content);
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
export function skeleton(lines = 4) {
  return h(
    "div",
    { class: "lines" },
    Array.from({ length: lines }, () => h("span", { class: "skeleton line" })),
  );
}

/** Marks a panel as one whose content is on its way. */
export function waiting(place, lines = 4) {
  place.setAttribute("aria-busy", "true");
  replace(place.querySelector("[data-body]"), skeleton(lines));
}
