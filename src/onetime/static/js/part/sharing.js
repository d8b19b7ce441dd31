import { create, Refused, Unreached } from "../api.js";
import { Invalid, normalPassphrase } from "../crypto/envelope.js";
import { find, words } from "./find.js";
import { generate } from "./generate.js";
import { prepare } from "./prepare.js";
import { clear, complain } from "./summary.js";

/**
 * What the sender gets. `value` is a password that was made up.
 *
 * @typedef {{ link: string, receipt: string, value: string | undefined, hasPassphrase: boolean, secretExpiresAt: number,
 *   createdAt: number, expiresAt: number }} Made
 */

/**
 * What was typed, and what was made of it: sent again, it is the same to the letter, so that a lost answer makes no second
 * secret.
 *
 * @typedef {{ typed: string, value: string | undefined, prepared: ReturnType<typeof prepare> }} Attempt
 */

/** What is wrong, by the names of the templates that say it. */
class Wrong extends Error {
  /**
   * @param {string} reason
   * @param {string} [field]
   * @param {Record<string, string>} [values]
   */
  constructor(reason, field, values) {
    super(reason);
    this.reason = reason;
    this.field = field;
    this.values = values;
  }
}

/**
 * The form encrypts what is in it, sends that, and hands over what came of it.
 *
 * @param {HTMLFormElement} form
 * @param {(bytes: number) => string} size in words
 * @param {{ done: (made: Made) => void, refused: () => void }} then
 */
export function shareFrom(form, size, { done, refused }) {
  const button = /** @type {HTMLButtonElement} */ (form.querySelector("button:not([type])"));
  const secret = find("secret", HTMLTextAreaElement);
  const passphrase = find("passphrase", HTMLInputElement);
  const sending = find("sending", HTMLElement);
  /** @type {Attempt | undefined} */
  let attempt;
  let isSending = false;

  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    if (isSending) return;
    setSending(true);
    /** @type {Made | undefined} */
    let made;
    try {
      made = await share();
      attempt = undefined;
    } catch (error) {
      const wrong = explain(error, size(bytesOf(secret.value)));
      // What could not be made is made anew.
      if (!(error instanceof Unreached || error instanceof Refused)) attempt = undefined;
      setSending(false);
      complain(words(`said-${wrong.reason}`, wrong.values), wrong.field);
      refused();
    }
    // Not within: what fails here was sent all the same.
    if (made !== undefined) done(made);
  });

  /** @param {boolean} now */
  function setSending(now) {
    isSending = button.disabled = secret.readOnly = passphrase.readOnly = now;
    sending.replaceChildren(now ? words("sending-words") : "");
  }

  /** @returns {Promise<Made>} */
  async function share() {
    const isGenerated = find("kind-generate", HTMLInputElement).checked;
    const ttl = Number(find("ttl", HTMLSelectElement).value);
    if (!isGenerated) checkText(secret, size);
    checkPassphrase(passphrase.value);
    checkTtl(form, ttl);
    clear();
    const typed = JSON.stringify([...new FormData(form)]);
    const isRepeated = attempt?.typed === typed;
    if (attempt === undefined || !isRepeated) {
      const value = isGenerated ? generate(recipe(form)) : undefined;
      attempt = { typed, value, prepared: prepare(value ?? secret.value, passphrase.value, ttl) };
    }
    const { value, prepared } = attempt;
    const { envelope, link, receipt } = await prepared;
    try {
      return { ...(await create(envelope)), link, receipt, value, hasPassphrase: envelope.hasPassphrase };
    } catch (error) {
      if (!isRepeated || !(error instanceof Refused) || error.code !== "conflict") throw error;
      // It had arrived and is over by now; nobody has had its link.
      attempt = undefined;
      return await share();
    }
  }
}

/** @param {string} text */
export function bytesOf(text) {
  return new TextEncoder().encode(text).length;
}

/** @param {HTMLFormElement} form */
function recipe(form) {
  const fields = new FormData(form);
  return {
    length: Number(fields.get("length")),
    symbols: fields.has("symbols"),
    excludeAmbiguous: fields.has("unambiguous"),
  };
}

/**
 * @param {HTMLTextAreaElement} secret
 * @param {(bytes: number) => string} size
 */
function checkText(secret, size) {
  const text = secret.value;
  const bytes = bytesOf(text);
  if (bytes > Number(secret.dataset["mostBytes"])) throw new Wrong("too_large", "secret", { size: size(bytes) });
  if (/\p{Surrogate}/u.test(text)) throw new Wrong("malformed", "secret");
  if (text === "") throw new Wrong("empty", "secret");
}

/** @param {string} passphrase */
function checkPassphrase(passphrase) {
  try {
    if (passphrase) normalPassphrase(passphrase, { isNew: true });
  } catch (error) {
    const rule = error instanceof Invalid ? error.rule : "";
    throw new Wrong(["too_short", "too_long"].includes(rule) ? `passphrase_${rule}` : "passphrase", "passphrase");
  }
}

/**
 * @param {HTMLFormElement} form
 * @param {number} ttl
 */
function checkTtl(form, ttl) {
  const { leastTtl, mostTtl } = form.dataset;
  if (!(ttl >= Number(leastTtl) && ttl <= Number(mostTtl))) throw new Wrong("ttl", "ttl");
}

/**
 * @param {unknown} error
 * @param {string} size of what was written
 * @returns {Wrong}
 */
function explain(error, size) {
  if (error instanceof Wrong) return error;
  if (error instanceof Unreached) return new Wrong("unreached");
  if (!(error instanceof Refused)) return new Wrong("unfit");
  const time = error.retryAfter === undefined ? "" : wait(error.retryAfter);
  if (error.code === "full") return new Wrong("full");
  if (error.code === "rate_limited") return new Wrong(time ? "rate_limited" : "many", undefined, { time });
  if (error.code === "unavailable" && time) return new Wrong("busy", undefined, { time });
  if (error.code === "too_large") return new Wrong("too_large", "secret", { size });
  if (error.code === "invalid" && error.field === "ttl") return new Wrong("ttl", "ttl");
  return new Wrong("refused");
}

/**
 * In words, and never less than it takes.
 *
 * @param {number} seconds
 */
function wait(seconds) {
  const offered = [...find("waits", HTMLTemplateElement).content.children];
  const enough = offered.find((each) => Number(each.getAttribute("data-wait")) >= seconds);
  return (enough ?? offered.at(-1))?.textContent ?? "";
}
