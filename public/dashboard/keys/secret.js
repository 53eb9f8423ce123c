// The secret of a new key, which is shown once; and giving a key another one.

import { change } from "../api.js";
import { openDialog } from "../dialog.js";
import { h } from "../dom.js";
import { choice, copyButton, field, formDialog } from "../forms.js";

const OVERLAPS = [
  ["0", "None: the old secret stops at once"],
  ["300", "5 minutes"],
  ["3600", "1 hour"],
  ["86400", "1 day"],
];

/** Shows a secret until the reader says that it is kept. */
export function showSecret(title, key) {
  return openDialog(
    title,
    (close) => {
      const shown = h("code", {}, key.key);
      return [
        h(
          "p",
          {},
          "This is the only time that the secret is shown. Keep it now: nobody can read it later.",
        ),
        h(
          "div",
          { class: "secret" },
          h("pre", { class: "code", tabindex: "0" }, shown),
          copyButton(key.key, shown),
        ),
        h(
          "p",
          { class: "muted small" },
          `For ${key.user}${key.name ? `, ${key.name}` : ""} (${key.id}).`,
        ),
        h(
          "div",
          { class: "dialog-buttons" },
          h(
            "button",
            { type: "button", class: "primary", onclick: () => close(true) },
            "I have kept it",
          ),
        ),
      ];
    },
    { keep: true },
  );
}

/** Asks for how long the old secret stays, and gives the key another. Resolves to whether it did. */
export async function rotate(key, label) {
  const overlap = choice("3600", OVERLAPS);
  const renewed = await formDialog({
    title: `Rotate the secret of ${label}?`,
    lead:
      "The key gets another secret. All else of it stays: its limits, its budget and what it has" +
      " used. Who still sends the old secret after the overlap is refused.",
    action: "Rotate",
    fields: field("overlapSeconds", "The old secret works on for", overlap, { wide: true }),
    submit: () =>
      change("POST", `/admin/keys/${key.id}/rotate`, { overlapSeconds: Number(overlap.value) }),
  });
  if (!renewed) return false;
  await showSecret("The new secret", renewed);
  return true;
}
