// Forms: a field has a label, a hint and a place for what the proxy says against it.

import { openDialog } from "./dialog.js";
import { h } from "./dom.js";

let number = 0;

/**
 * A field around a control. name: as the interface names it (`limits.perHour`), by which its errors
 * are found. hint: a sentence below it. wide: it takes a whole row.
 */
export function field(name, label, control, { hint = null, wide = false } = {}) {
  const id = `field-${(number += 1)}`;
  control.id = id;
  control.name ||= name;
  control.setAttribute("aria-describedby", `${id}-error${hint ? ` ${id}-hint` : ""}`);
  return h(
    "div",
    { class: `form-field${wide ? " whole" : ""}`, "data-field": name },
    h("label", { for: id }, label),
    control,
    hint && h("p", { id: `${id}-hint`, class: "hint" }, hint),
    h("p", { id: `${id}-error`, class: "error" }),
  );
}

/** Fields that belong together, under a title. */
export function group(title, ...fields) {
  return h(
    "fieldset",
    { class: "form-group" },
    h("legend", {}, title),
    h("div", { class: "form-grid" }, fields),
  );
}

/** A control for one line of text; `more` are attributes. */
export function line(value, more = {}) {
  return h("input", { type: "text", value: value ?? "", autocomplete: "off", ...more });
}

/** A control for a number, empty for none. */
export function figure(value, more = {}) {
  return h("input", { type: "number", value: value ?? "", placeholder: "none", ...more });
}

/** A control for longer text. */
export function area(value, more = {}) {
  const control = h("textarea", { rows: 3, spellcheck: "false", ...more });
  control.value = value ?? "";
  return control;
}

/** A control for one of some choices: `[value, label]`. */
export function choice(value, choices, more = {}) {
  const control = h(
    "select",
    more,
    choices.map(([its, label]) => h("option", { value: its }, label)),
  );
  control.value = value ?? "";
  return control;
}

/** A control that is on or off, with its label beside it. */
export function tick(name, label, on, more = {}) {
  return h(
    "label",
    { class: "check" },
    h("input", { type: "checkbox", name, checked: Boolean(on), ...more }),
    ` ${label}`,
  );
}

/** The text of a control; null where there is none. */
export function textOf(control) {
  return control.value.trim() || null;
}

/** The number of a control; null where there is none. */
export function numberOf(control) {
  return control.value.trim() === "" ? null : Number(control.value);
}

/** Texts between commas or line breaks; null where there are none. */
export function listOf(control) {
  const texts = control.value
    .split(/[,\n]/)
    .map((text) => text.trim())
    .filter(Boolean);
  return texts.length ? texts : null;
}

/** A copy of an object without what is null or undefined; null where nothing is left. */
export function given(object) {
  const left = Object.entries(object).filter(([, its]) => its !== null && its !== undefined);
  return left.length ? Object.fromEntries(left) : null;
}

/** Takes away what was said against the fields. */
export function clearErrors(form) {
  for (const place of form.querySelectorAll(".error")) place.textContent = "";
  for (const control of form.querySelectorAll("[aria-invalid]"))
    control.removeAttribute("aria-invalid");
}

/** Says what is wrong at the field that the error names, else at the form's end. */
export function showError(form, error) {
  const place = findField(form, error.param ?? "");
  const control = place?.querySelector("input, select, textarea");
  if (!control) {
    form.querySelector(":scope > .error, .form-end > .error").textContent = error.message;
    return;
  }
  for (
    let around = place.closest("details");
    around;
    around = around.parentElement.closest("details")
  )
    around.open = true;
  control.setAttribute("aria-invalid", "true");
  place.querySelector(".error").textContent = error.message;
  control.focus();
}

/** The field of that name, or what it is a part of: `models[2]` is a part of `models`. */
function findField(form, param) {
  const fields = [...form.querySelectorAll("[data-field]")];
  for (let name = param; name; name = name.replace(/(\.[^.[\]]*|\[[^\]]*\]|^[^.[]*)$/, "")) {
    const found = fields.find((each) => each.dataset.field === name);
    if (found) return found;
  }
  return null;
}

/**
 * A dialog around a form. fields: its content. submit(form): does it, and gives what the dialog
 * resolves to; what it throws is shown in the form. Resolves to null where the reader calls it off.
 * dangerous: the button looks it, and Cancel has the focus.
 */
export function formDialog(options) {
  const { title, action, fields, submit, lead = null, wide = false, dangerous = false } = options;
  return openDialog(
    title,
    (close) => {
      const style = dangerous ? "danger" : "primary";
      const send = h("button", { type: "submit", class: style }, action);
      const calling = { type: "button", autofocus: dangerous, onclick: () => close() };
      const cancel = h("button", calling, "Cancel");
      const form = h(
        "form",
        {
          class: "form",
          onsubmit: async (event) => {
            event.preventDefault();
            clearErrors(form);
            send.disabled = true;
            try {
              close(await submit(form));
            } catch (error) {
              showError(form, error);
            } finally {
              send.disabled = false;
            }
          },
        },
        lead && h("p", { class: "muted" }, lead),
        fields,
        h(
          "div",
          { class: "form-end" },
          h("p", { class: "error", role: "alert" }),
          h("div", { class: "dialog-buttons" }, cancel, send),
        ),
      );
      return form;
    },
    { wide, keep: true },
  );
}

/** A button that copies a text, or selects `shown` where the browser does not let it. */
export function copyButton(text, shown, label = "Copy") {
  const button = h("button", { type: "button" }, label);
  button.addEventListener("click", async () => {
    let word = "Copied";
    try {
      await navigator.clipboard.writeText(typeof text === "function" ? text() : text);
    } catch {
      getSelection().selectAllChildren(shown);
      word = "Selected";
    }
    button.textContent = word;
    setTimeout(() => {
      button.textContent = label;
    }, 2_000);
  });
  return button;
}
