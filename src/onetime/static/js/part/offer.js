/** The closed secret and what can be done with it: open it, or destroy it unread. And what is said where it cannot. */

import * as api from "../api.js";
import { derive } from "../crypto/envelope.js";
import { forgetKey, wasHanded } from "./address.js";
import { complain, explain, relent, rest, restOf } from "./complain.js";
import { find, words } from "./find.js";
import { offerToShow } from "./passphrase.js";
import { Damaged, NotThePassphrase, reveal } from "./reveal.js";
import { enter } from "./states.js";
import { isInAnotherTab, withdraw } from "./tabs.js";
import { tellTimes } from "./times.js";

/** @typedef {import("./reveal.js").Link} Link */

/** @typedef {Awaited<ReturnType<typeof api.look>>} Seen */

/**
 * @param {Link} link
 * @param {Seen} seen what the server says of it
 * @param {() => void} again asks the server once more
 */
export function offer(link, seen, again) {
  const [opener, burner] = seen.hasPassphrase ? ["passphrase", "burn-passphrase"] : ["show", "destroy"];
  let isBusy = false;

  enter(seen.hasPassphrase ? "passphrase" : "plain", { quietly: true });
  tellTimes({ expires: seen.secretExpiresAt }, seen.now);
  offerToShow();
  onPress("show", opener, async (passphrase) => {
    const opening = find("opening", HTMLElement);
    opening.replaceChildren(words("opening-words"));
    try {
      await reveal(link, passphrase);
    } finally {
      opening.replaceChildren();
    }
  });
  onPress("destroy", burner, async (passphrase) => {
    const { openProof } = await derive(link.key, passphrase);
    await api.burn({ linkProof: link.proof, openProof });
    forgetKey();
    enter("destroyed");
  });
  if (seen.lockedUntil !== null) {
    for (const each of [opener, burner]) rest(each, "say-locked", seen.lockedUntil - seen.now, { quietly: true });
  }
  if (link.mayBeOurs) {
    // Too late to destroy it unread: it was on its way.
    find("destroying", HTMLElement).hidden = true;
    if (seen.hasPassphrase) complain(opener, "say-passphrase-again", { quietly: true });
    else find("show", HTMLFormElement).requestSubmit();
  }

  /**
   * One press at a time, and none while the control rests.
   *
   * @param {string} form
   * @param {string} control
   * @param {(passphrase: string) => Promise<void>} act
   */
  function onPress(form, control, act) {
    find(form, HTMLFormElement).addEventListener("submit", async (event) => {
      event.preventDefault();
      if (isBusy) return;
      if (restOf(control) > 0) {
        find(`${control}-wrong`, HTMLElement).focus();
        return;
      }
      isBusy = true;
      relent(control);
      const input = document.getElementById(control);
      try {
        await act(input instanceof HTMLInputElement ? input.value : "");
      } catch (error) {
        await refuse(control, error);
      } finally {
        isBusy = false;
      }
    });
  }

  /**
   * @param {string} control
   * @param {unknown} error
   */
  async function refuse(control, error) {
    if (error instanceof api.Unreached) link.mayBeOurs ||= control === opener;
    else if (!(error instanceof Damaged || error instanceof NotThePassphrase)) withdraw(link.id);
    const code = error instanceof api.Refused ? error.code : "";
    if (code === "not_found") await tellItIsGone(link.id);
    else if (code === "claimed") await tellWhoHasIt(link.id);
    else if (code === "closed") enter("closed");
    else if (error instanceof Damaged) tellDamage(error);
    else if (error instanceof NotThePassphrase) complain(control, "say-no-passphrase");
    else {
      if (code === "wrong_passphrase") link.mayBeOurs = false;
      explain(control, error);
      if (error instanceof api.Refused && error.attemptsLeft === 0) await tellTheLock(control);
    }
  }

  /** @param {Damaged} damaged */
  function tellDamage({ windowEndsAt, now }) {
    enter("damaged");
    tellTimes({ window: windowEndsAt }, now);
    find("again", HTMLButtonElement).addEventListener("click", again);
  }

  /**
   * The last attempt before the lock was wrong: for how long there is none.
   *
   * @param {string} control
   */
  async function tellTheLock(control) {
    const { lockedUntil, now } = await api.look(link.proof);
    if (lockedUntil !== null) rest(control, "say-locked", lockedUntil - now);
  }
}

/**
 * The server has nothing for it.
 *
 * @param {string} id
 */
export async function tellItIsGone(id) {
  const name = wasHanded() ? "late" : (await isInAnotherTab(id)) ? "tab" : "gone";
  forgetKey();
  enter(name);
}

/**
 * Another claim has it. The key stays: in the other tab it may still be of use.
 *
 * @param {string} id
 */
export async function tellWhoHasIt(id) {
  enter((await isInAnotherTab(id)) ? "tab" : "elsewhere");
}
