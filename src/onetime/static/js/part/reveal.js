import * as api from "../api.js";
import { derive, open } from "../crypto/envelope.js";
import { claim, forgetKey, hideSwitch, markHanded } from "./address.js";
import { find, words } from "./find.js";
import { show } from "./opened.js";
import { settle } from "./settle.js";
import { announce } from "./tabs.js";

/** @typedef {import("../crypto/envelope.js").Bytes} Bytes */

/**
 * A link that was followed. `mayBeOurs`: an answer that hands it to this tab may have been sent already.
 *
 * @typedef {{ key: Bytes, proof: Bytes, id: string, mayBeOurs: boolean }} Link
 */

/** What came does not open. The server has not been told that it arrived, and gives it to this tab again until then. */
export class Damaged extends Error {
  /** @param {{ windowEndsAt: number, now: number }} handed */
  constructor({ windowEndsAt, now }) {
    super("What came does not open");
    this.windowEndsAt = windowEndsAt;
    this.now = now;
  }
}

/** It was handed to this tab before, and does not open with this passphrase. */
export class NotThePassphrase extends Error {}

/**
 * Derive, ask, open, show, and tell the server.
 *
 * @param {Link} link
 * @param {string} passphrase
 * @throws Refused, Unreached, Invalid, Damaged, NotThePassphrase: nothing is shown, and nothing is lost
 */
export async function reveal(link, passphrase) {
  // Before the first request that may hand it out: whatever becomes of the answer, this tab can ask for it again.
  const ours = claim();
  announce(link.id);
  const { openProof, contentKey } = await derive(link.key, passphrase);
  const handed = await api.reveal({ linkProof: link.proof, openProof, claim: ours });
  markHanded();
  const content = await opened(link, passphrase, contentKey, handed);
  const arrived = shown(content, handed);
  hideSwitch();
  tellServer({ linkProof: link.proof, claim: ours }, handed, arrived);
}

/**
 * @param {Link} link
 * @param {string} passphrase
 * @param {Bytes} contentKey
 * @param {Awaited<ReturnType<typeof api.reveal>>} handed
 */
async function opened(link, passphrase, contentKey, handed) {
  try {
    return await open(contentKey, handed.body);
  } catch {
    // What it has handed to a claim it hands to it again, without a look at the passphrase.
    if (passphrase && link.mayBeOurs) throw new NotThePassphrase();
    throw new Damaged(handed);
  }
}

/**
 * @param {import("../crypto/envelope.js").Opened} content
 * @param {{ windowEndsAt: number, now: number }} handed
 */
function shown(content, handed) {
  try {
    return show(content);
  } catch {
    throw new Damaged(handed);
  }
}

/**
 * In the background: what is shown stays, whatever becomes of it.
 *
 * @param {Parameters<typeof settle>[0]} proofs
 * @param {{ windowEndsAt: number, now: number }} handed
 * @param {Promise<void>} arrived
 */
async function tellServer(proofs, { windowEndsAt, now }, arrived) {
  const fate = find("fate", HTMLElement);
  const say = (/** @type {string} */ sentence) => fate.replaceChildren(words(sentence));
  await arrived;
  await settle(proofs, windowEndsAt - now, () => say("fate-unsettled"));
  forgetKey();
  say("fate-settled");
}
