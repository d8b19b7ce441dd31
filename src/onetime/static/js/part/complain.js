/** Says at a control, or in a page's place for it, why something was not done. */

import { Refused, Unreached } from "../api.js";
import { Invalid } from "../crypto/envelope.js";
import { counted, wait } from "./count.js";
import { find, words } from "./find.js";
import { retitle } from "./states.js";

/** Until when a control rests, by its name and this device's steady clock. @type {Map<string, number>} */
const resting = new Map();

/**
 * Say at a control why it was not done, in the place that the template has for it: `#<control>-wrong`.
 *
 * @param {string} control
 * @param {string} sentence id of its template; its title becomes the page's
 * @param {{ said?: Node, quietly?: boolean }} [options] `said`: the sentence, where it is more than the template's words;
 *   `quietly`: the page has just come
 */
export function complain(control, sentence, { said = words(sentence), quietly = false } = {}) {
  const place = find(`${control}-wrong`, HTMLElement);
  const around = /** @type {HTMLElement} */ (place.parentElement);
  place.replaceChildren(words("wrong-words"));
  place.querySelector("span")?.append(said);
  place.hidden = around.hidden = false;
  around.classList.add("bad");
  fieldOf(control)?.setAttribute("aria-invalid", "true");
  if (quietly) return;
  retitle(sentence);
  // So it is read out once: no clock is read out while it counts.
  place.focus();
}

/**
 * The same of what will do again in so many seconds; they are counted down, and then it is taken back.
 *
 * @param {string} control
 * @param {string} sentence
 * @param {number} seconds
 * @param {{ quietly?: boolean }} [options]
 */
export function rest(control, sentence, seconds, options) {
  resting.set(control, performance.now() + 1000 * seconds);
  const said = words(sentence, { wait: wait(seconds) });
  const clock = said.querySelector("[data-word=wait]");
  complain(control, sentence, { said, ...options });
  const tick = () => {
    const left = restOf(control);
    if (!clock?.isConnected) return;
    if (left === 0) relent(control);
    else {
      clock.textContent = wait(left);
      setTimeout(tick, 1000);
    }
  };
  tick();
}

/**
 * Seconds, rounded up; 0: it may be tried.
 *
 * @param {string} control
 */
export function restOf(control) {
  return Math.max(0, Math.ceil(((resting.get(control) ?? 0) - performance.now()) / 1000));
}

/**
 * Take back what was said.
 *
 * @param {string} control
 */
export function relent(control) {
  const place = find(`${control}-wrong`, HTMLElement);
  const around = /** @type {HTMLElement} */ (place.parentElement);
  place.hidden = true;
  place.replaceChildren();
  around.hidden = around.children.length === 1;
  around.classList.remove("bad");
  fieldOf(control)?.removeAttribute("aria-invalid");
  retitle();
}

/**
 * Say at a control why the server, or the way to it, has refused what the button was to do.
 *
 * @param {string} control
 * @param {unknown} error
 * @throws what is none of these: a mistake of ours, once it was said that it did not work
 */
export function explain(control, error) {
  if (error instanceof Unreached) complain(control, "say-unreached");
  else if (error instanceof Invalid) complain(control, "say-no-passphrase");
  else if (error instanceof Refused) explainRefusal(control, error);
  else {
    complain(control, "say-failed");
    throw error;
  }
}

/**
 * @param {string} control
 * @param {Refused} refused
 */
function explainRefusal(control, { code, attemptsLeft, retryAfter }) {
  if (code === "wrong_passphrase") {
    complain(control, "say-no-passphrase", { said: counted("say-wrong", attemptsLeft ?? 0) });
  } else if (retryAfter !== undefined) {
    rest(control, code === "rate_limited" ? "say-locked" : "say-busy", retryAfter);
  } else complain(control, "say-failed");
}

/** @param {string} control a field, or the form of a button alone */
function fieldOf(control) {
  return document.querySelector(`:is(input, textarea)#${control}`);
}
