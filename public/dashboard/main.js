// What happens when: sign in, show the chosen page, read it anew, sign out.

import { key } from "./api.js";
import { at } from "./dom.js";
import { clock } from "./format.js";
import { refresher } from "./refresh.js";
import { can, chosenPage, hasMounted, say, showPage, wireShell } from "./shell.js";
import * as signIn from "./sign-in.js";
import { onChange, readAddress } from "./state.js";

const ROLES = { user: "User", viewer: "Viewer", admin: "Admin" };
const RETRY_MS = 5_000;
let me = null;
let page = null;

const context = {
  get me() {
    return me;
  },
  can: (role) => can(me.role, role),
  again: () => refresh.now(true),
  say,
  trouble,
};

const refresh = refresher(async (signal, asked) => {
  if (!page) return;
  const shown = page;
  at("refresh").classList.add("turning");
  try {
    await shown.refresh(signal, asked);
    if (shown !== page) return;
    at("fresh").textContent = `as of ${clock(Date.now())}`;
    trouble(null);
    if (asked) say("Figures are up to date.");
  } catch (error) {
    trouble(error);
  } finally {
    at("refresh").classList.remove("turning");
  }
}, () => page?.live);

/** Tells what concerns the whole page; null when it is over. */
function trouble(error) {
  if (error?.name === "AbortError") return;
  if (error?.status === 401) {
    leave(`You were signed out: ${error.message}`);
    return;
  }
  if (error && error.status === undefined) console.error(error);
  at("trouble").hidden = !error;
  at("trouble").textContent = error ? `${error.message} What is below is from before.` : "";
}

function show(moved) {
  if (me === null) return;
  page = showPage(me, context, moved);
  refresh.stop();
  if (page) context.again();
}

function enter(found, moved = true) {
  if (hasMounted()) return location.reload(); // what another reader saw goes
  me = found;
  at("view-sign-in").hidden = true;
  at("who").hidden = false;
  at("who").textContent = me.via === "open" ? "Open access" : ROLES[me.role];
  at("who").title = me.user ?? "";
  at("sign-out").hidden = me.via === "open";
  at("sign-in").hidden = me.via !== "open";
  at("version").textContent = `${me.version} · ${me.environment}`;
  return show(moved);
}

/** Ends the session; nothing that it read stays on the page. */
function leave(reason = "") {
  refresh.stop();
  key.clear();
  if (me?.via === "access") {
    location.href = "/cdn-cgi/access/logout";
  } else if (me !== null) {
    sessionStorage.setItem("left", reason);
    location.hash = "#/overview";
    location.reload();
  } else {
    signIn.show(reason);
  }
}

/** Finds out who reads, with the key that this tab has kept, and lets them in. */
async function open() {
  const reason = sessionStorage.getItem("left") ?? "";
  sessionStorage.removeItem("left");
  chosenPage().ahead?.();
  try {
    const found = await signIn.identify(key.get());
    trouble(null);
    enter(found, false);
  } catch (error) {
    if (error.status === 401) {
      leave(key.get() ? `This key was not let in: ${error.message}` : reason);
      return;
    }
    at("trouble").hidden = false;
    at("trouble").textContent = `${error.message} Trying again …`;
    setTimeout(open, RETRY_MS);
  }
}

wireShell(refresh);
signIn.wire(enter);
readAddress();
onChange(show);
addEventListener("hashchange", readAddress);
at("sign-out").addEventListener("click", () => leave());
at("sign-in").addEventListener("click", () => {
  refresh.stop();
  signIn.show();
});
at("opening").hidden = true;
document.documentElement.dataset.opened = "";
open();
