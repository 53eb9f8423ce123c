// The pages, in the order of the navigation.
//
// A page has: `name` (its place in the address, `#/name`), `title`, `lead` (a sentence below the
// title), `role` (the least that opens it: user, viewer, admin), `spends` (it calls models, which a
// viewer may not), `window` (it looks at a window of time), `live` (it is read by the clock too),
// `filters` (names of FILTERS that narrow it, LABEL for labels), and
//
//   mount(root, context)     builds its content, once, before it is first shown
//   refresh(signal, asked)   reads anew and shows; `asked` is false for the clock's readings.
//                            Rejects with what the reader is to be told; the shell tells it.
//
// context: `me` (GET /me), `can(role)`, `again()` (reads anew), `say(text)` (for ears),
// `trouble(error)` (tells what concerns the whole page; null when it is over).

import { page as aliases } from "./aliases.js";
import { page as budgets } from "./budgets.js";
import { page as cache } from "./cache.js";
import { page as keys } from "./keys.js";
import { page as limits } from "./limits.js";
import { page as overview } from "./overview.js";
import { page as playground } from "./playground.js";
import { page as requests } from "./requests.js";
import { page as sessions } from "./sessions.js";
import { page as settings } from "./settings.js";

export const GROUPS = [
  { title: "Observe", pages: [overview, requests, sessions] },
  { title: "Operate", pages: [keys, budgets, aliases, limits, cache, settings] },
  { title: "Try", pages: [playground] },
];
export const PAGES = GROUPS.flatMap((group) => group.pages);
