// Questions in front of the page. Escape, the button Cancel and a press beside it answer no.

import { h } from "./dom.js";

let number = 0;

/**
 * Opens a dialog. build(close) gives its content; close(value) ends it. Resolves to that value,
 * or null where the reader has called it off. The focus goes back to where it was. wide: it has
 * much to show; keep: a press beside it does not end it, since what was written would be lost.
 */
export function openDialog(title, build, { wide = false, keep = false } = {}) {
  return new Promise((resolve) => {
    const id = `dialog-${(number += 1)}`;
    let answer = null;
    const close = (value = null) => {
      answer = value;
      element.close();
    };
    const element = h(
      "dialog",
      {
        class: wide ? "wide" : null,
        "aria-labelledby": id,
        onclick: (event) => !keep && event.target === element && close(),
        onclose: () => {
          element.remove();
          resolve(answer);
        },
      },
      h("div", { class: "dialog-body" }, h("h2", { id }, title), build(close)),
    );
    document.body.append(element);
    element.showModal();
  });
}

/** Asks before what can't be undone; `action` is the word on the button. Resolves to yes or no. */
export async function confirm({ title, text, action }) {
  const yes = await openDialog(title, (close) => [
    h("p", { class: "muted" }, text),
    buttons(close, h("button", { type: "button", class: "danger", onclick: () => close(true) }, action)),
  ]);
  return yes === true;
}

/** The row of buttons at a dialog's end: Cancel, which has the focus at first, and others. */
export function buttons(close, ...others) {
  const cancel = h("button", { type: "button", autofocus: true, onclick: () => close() }, "Cancel");
  return h("div", { class: "dialog-buttons" }, cancel, others);
}
