// Who reads this page: nobody yet, anybody (a deployment without keys), a user, or an operator.

import { ApiError, get, key, ORIGIN } from "./api.js";
import { issueCurl } from "./code.js";
import { at } from "./dom.js";

/**
 * Finds out what `using` (a key, or null) may see: `operator`, `user` or `open`. Raises ApiError
 * with status 401 where it is let in nowhere.
 */
export async function role(using) {
  await get("/health/providers", {}, { using });
  try {
    await get("/admin/breakers", {}, { using });
    return using ? "operator" : "open";
  } catch (error) {
    if (error.status === 401 || error.status === 403) return "user";
    throw error;
  }
}

/** Wires the form; `enter(role)` is called once a key is let in. */
export function wire(enter) {
  const field = at("key");
  const trouble = at("key-error");
  at("issue").textContent = issueCurl(ORIGIN);
  at("reveal").addEventListener("click", () => {
    const show = field.type === "password";
    field.type = show ? "text" : "password";
    at("reveal").textContent = show ? "Hide" : "Show";
    at("reveal").setAttribute("aria-pressed", String(show));
  });
  at("entrance").addEventListener("submit", async (event) => {
    event.preventDefault();
    const given = field.value.trim();
    trouble.textContent = "";
    field.removeAttribute("aria-invalid");
    try {
      if (!/^[\x21-\x7e]+$/.test(given))
        throw new ApiError(401, "", "A key has no spaces and no special letters.");
      const found = await role(given);
      key.set(given);
      field.value = "";
      enter(found);
    } catch (error) {
      trouble.textContent =
        error.status === 401 ? `This key was not let in: ${error.message}` : error.message;
      field.setAttribute("aria-invalid", "true");
      field.select();
    }
  });
}

/** Shows the form, with the reason why. */
export function show(reason = "") {
  at("view-sign-in").hidden = false;
  at("key-error").textContent = reason;
  at("key").focus();
}
