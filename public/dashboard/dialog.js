// Dialogs in front of the page, which Escape and a press beside them call off.

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
