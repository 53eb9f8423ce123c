// What the pages of operators share: reading and searching lists, asking before what can't be undone,
// actions.

import { get } from "./api.js";
import { h, replace } from "./dom.js";
import { formDialog } from "./forms.js";
import { failure, skeleton } from "./table.js";

/** Where a list is shown, with grey bars until it is read. */
export function placeFor(lines = 5) {
  return h("div", { "aria-busy": "true" }, skeleton(lines));
}

/**
 * Reads and shows what belongs into `place`. Where it fails, what was shown before stays and the
 * shell tells of it; where nothing was, the failure stands there.
 */
export async function fill(place, context, read, show) {
  try {
    replace(place, show(await read()));
    place.dataset.read = "";
  } catch (error) {
    if ("read" in place.dataset || error.name === "AbortError" || error.status === 401) throw error;
    if (error.status === undefined) console.error(error);
    replace(place, failure(error, context.again));
  } finally {
    place.removeAttribute("aria-busy");
  }
}

/** Waits for several that are filled. Raises what the first of them has raised, once all are done. */
export async function fillAll(...filling) {
  const failed = (await Promise.allSettled(filling)).find(({ reason }) => reason);
  if (failed) throw failed.reason;
}

/** All pages of the list `name` that GET `path` answers. */
export async function readAll(path, name, params, signal) {
  const found = [];
  let cursor = null;
  do {
    const page = await get(path, { ...params, cursor }, { signal });
    found.push(...page[name]);
    cursor = page.next;
  } while (cursor);
  return found;
}

/** A control for words to search for. label: what it searches, for ears. */
export function searchBox(placeholder, label, oninput) {
  return h("input", { type: "search", placeholder, "aria-label": label, oninput });
}

/** The words that stand in such a control. */
export function wordsOf(search) {
  return search.value.toLowerCase().split(/\s+/).filter(Boolean);
}

/** Whether texts together hold all words. */
export function hold(texts, words) {
  const text = texts.filter(Boolean).join(" ").toLowerCase();
  return words.every((word) => text.includes(word));
}

/** A small button of a row. of: what it is about, for ears and for the focus. */
export function act(word, of, onclick, { dangerous = false } = {}) {
  return h(
    "button",
    {
      type: "button",
      class: `quiet${dangerous ? " bad-text" : ""}`,
      "data-focus": `${word}:${of}`,
      "aria-label": `${word}: ${of}`,
      onclick,
    },
    word,
  );
}

/** A link of a row, like a button. */
export function leadTo(word, of, href) {
  return h("a", { class: "button quiet", href, "aria-label": `${word}: ${of}` }, word);
}

/**
 * Asks before what can't be undone, and does it: title asks, text names what will happen, action is
 * the word on the button. What the proxy says against it is shown there.
 */
export async function undertake(context, { title, text, action, work, said }) {
  const did = await formDialog({
    title,
    lead: text,
    action,
    dangerous: true,
    submit: async () => {
      await work();
      return true;
    },
  });
  if (did) done(context, said);
}

/** Says what was done, and reads anew. */
export function done(context, said) {
  context.say(said);
  context.again();
}
