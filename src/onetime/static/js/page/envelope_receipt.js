/**
 * The page of a receipt `/receipt#…`: asks what became of the secret, and destroys it unread. It asks when it comes, when it is
 * asked to, and when somebody comes back to it; never by itself.
 */

import { receipt, receiptBurn, Refused } from "../api.js";
import { Invalid, parseReceiptLink, receiptProof } from "../crypto/envelope.js";
import { forgetKey, isForgotten, keepFragment, keepKey } from "../part/address.js";
import { hindrance } from "../part/capable.js";
import { complain, explain, relent, restOf } from "../part/complain.js";
import { counted } from "../part/count.js";
import { find, words } from "../part/find.js";
import { enter, retitle } from "../part/states.js";
import { tellTimes } from "../part/times.js";

/** @typedef {Parameters<typeof receipt>[0]} Proofs */

/** @typedef {Awaited<ReturnType<typeof receipt>>} Receipt */

const KEY_LETTERS = 86;

// Who switches between tabs asks no more often than this.
const LEAST_MS = 5000;

/** The state that is shown; empty: none yet. */
let shown = "";
let askedAt = -LEAST_MS;

keepFragment();
addEventListener("hashchange", () => location.reload());
addEventListener("pageshow", (event) => {
  if (event.persisted) location.reload();
});

const hindered = hindrance();
if (hindered) enter(hindered);
else if (isForgotten()) enter("gone");
else await follow(location.hash, askForAll);

/**
 * @param {string} text with an address in it, or what is left of one
 * @param {() => void} otherwise
 */
async function follow(text, otherwise) {
  try {
    keepKey(await keyIn(text));
  } catch (error) {
    if (!(error instanceof Invalid)) throw error;
    if (error.rule === "newer") enter("newer");
    else otherwise();
    return;
  }
  const { secretId, receiptKey } = parseReceiptLink(location.hash.slice(1));
  const proofs = { secretId, receiptProof: await receiptProof(receiptKey) };
  document.addEventListener("visibilitychange", () => {
    const mayChange = shown === "new" || shown === "claimed";
    if (!document.hidden && mayChange && performance.now() - askedAt > LEAST_MS) look(proofs);
  });
  await look(proofs);
}

/**
 * Most come whole: what repairs the others is loaded for them alone.
 *
 * @param {string} text
 */
async function keyIn(text) {
  const key = text.replace(/^#/, "");
  try {
    parseReceiptLink(key);
    return key;
  } catch {
    const { repair } = await import("../part/fragment.js");
    return repair(text, KEY_LETTERS, parseReceiptLink);
  }
}

/** The key may be pasted, with whatever is around it. */
function askForAll() {
  enter("cut");
  find("paste", HTMLFormElement).addEventListener("submit", (event) => {
    event.preventDefault();
    relent("whole");
    follow(find("whole", HTMLTextAreaElement).value, () => complain("whole", "say-still-cut"));
  });
}

/**
 * @param {Proofs} proofs
 * @returns {Promise<boolean>} whether there is something new
 */
async function look(proofs) {
  askedAt = performance.now();
  try {
    return show(proofs, await receipt(proofs));
  } catch (error) {
    if (error instanceof Refused && error.code === "not_found") tellItIsGone();
    else tellTrouble(proofs, error);
    return true;
  }
}

function tellItIsGone() {
  forgetKey();
  shown = "gone";
  enter("gone");
}

/**
 * What was known stays there.
 *
 * @param {Proofs} proofs
 * @param {unknown} error
 */
function tellTrouble(proofs, error) {
  const control = shown === "" ? "trouble" : "again";
  if (shown === "") {
    enter("trouble", { quietly: true });
    find("again", HTMLButtonElement).addEventListener("click", () => {
      if (restOf("trouble") === 0) look(proofs);
    });
  }
  explain(control, error);
}

/**
 * @param {Proofs} proofs
 * @param {Receipt} said
 */
function show(proofs, said) {
  const state = said.state === "revealed" && !said.acknowledged ? "unsure" : said.state;
  const isNew = state !== shown;
  if (isNew) {
    enter(state, { quietly: shown === "" });
    shown = state;
    attend(proofs);
  }
  tellTimes(
    {
      created: said.createdAt,
      ended: said.endedAt,
      until: said.secretExpiresAt,
      window: said.windowEndsAt,
      expires: said.expiresAt,
    },
    said.now,
  );
  find("tries", HTMLElement).replaceChildren(triesOf(said));
  const closed = document.getElementById("closed");
  if (closed !== null) closed.hidden = !said.closed;
  return isNew;
}

/** @param {Receipt} said */
function triesOf({ wrongTries, hasPassphrase }) {
  if (wrongTries > 0) return counted("tries", wrongTries);
  return hasPassphrase ? words("tries-none") : "";
}

/** @param {Proofs} proofs */
function attend(proofs) {
  document.getElementById("again")?.addEventListener("click", async () => {
    if (restOf("again") > 0) return;
    relent("again");
    const looked = find("looked", HTMLElement);
    looked.replaceChildren();
    if (!(await look(proofs))) looked.replaceChildren(words("say-nothing-new"));
  });
  document.getElementById("destroy")?.addEventListener("submit", async (event) => {
    event.preventDefault();
    if (restOf("destroy") > 0) return;
    relent("destroy");
    try {
      show(proofs, await receiptBurn(proofs));
    } catch (error) {
      if (!(error instanceof Refused)) explain("destroy", error);
      else if (error.code === "claimed") await tellItIsTooLate(proofs);
      else if (error.code === "not_found") await look(proofs);
      else explain("destroy", error);
    }
  });
}

/** @param {Proofs} proofs */
async function tellItIsTooLate(proofs) {
  await look(proofs);
  const note = document.getElementById("too-late");
  if (note === null) return;
  note.hidden = false;
  retitle("say-late");
  note.focus();
}
