// Who reads this page, and the form that asks for a key.

import { ApiError, get, key, ORIGIN } from "./api.js";
import { issueCurl } from "./code.js";
import { at } from "./dom.js";

/**
 * Who `using` (a key, or null) is: what GET /me answers. Raises ApiError with status 401 where it
 * is let in nowhere.
 */
export function identify(using) {
  return get("/me", {}, { using });
}

/** Wires the form; `enter(me)` is called once a key is let in. */
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
      const found = await identify(given);
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
  for (const section of at("main").children) section.hidden = section.id !== "view-sign-in";
  for (const id of ["tools", "filters", "nav", "menu", "who", "sign-in", "sign-out"])
    at(id).hidden = true;
  document.title = "Sign in · AI proxy";
  at("key-error").textContent = reason;
  at("key").focus();
}
