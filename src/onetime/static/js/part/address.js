/**
 * The address of a page whose key stands in its fragment, and its entry in the history: what a tab keeps there, and nowhere else.
 *
 * For a secret that is the claim too, from before the first reveal until the secret is settled or gone. So a reload, a discarded
 * tab and a change of language lose nothing, and another tab has nothing.
 */

import { fromBase64Url, newClaim, toBase64Url } from "../crypto/envelope.js";

/** @typedef {import("../crypto/envelope.js").Bytes} Bytes */

const CLAIM_BYTES = 16;

/**
 * Of this tab, from before; null: nothing was asked for yet.
 *
 * @returns {Bytes | null}
 */
export function earlierClaim() {
  try {
    return fromBase64Url(String(history.state?.claim), CLAIM_BYTES);
  } catch {
    return null;
  }
}

/**
 * That of this tab; made and kept, if there was none.
 *
 * @returns {Bytes}
 */
export function claim() {
  const earlier = earlierClaim();
  if (earlier !== null) return earlier;
  const made = newClaim();
  history.replaceState({ claim: toBase64Url(made) }, "");
  return made;
}

/** The content has arrived with the claim: whoever finds it gone later has had it here. */
export function markHanded() {
  history.replaceState({ ...history.state, handed: true }, "");
}

export function wasHanded() {
  return history.state?.handed === true;
}

/**
 * Put the key into the address in its one spelling, for a reload to find.
 *
 * @param {string} key
 */
export function keepKey(key) {
  if (location.hash !== `#${key}`) history.replaceState(history.state, "", `#${key}`);
}

/** The secret is settled or gone: neither the key nor the claim opens anything any more. */
export function forgetKey() {
  history.replaceState({ gone: true }, "", location.pathname + location.search);
}

/** An entry whose key was forgotten is no link that was cut off. */
export function isForgotten() {
  return history.state?.gone === true && location.hash === "";
}

/**
 * Let the language switch take the fragment along: no server is told of it, so it would be lost. The page is loaded anew in the
 * same entry of the history, which keeps its state: a claim that was made stays this tab's.
 */
export function keepFragment() {
  for (const link of document.querySelectorAll("header a[hreflang]")) {
    if (!(link instanceof HTMLAnchorElement)) continue;
    const aim = () => {
      link.hash = location.hash;
    };
    // For those that open it elsewhere.
    for (const kind of ["pointerenter", "focus", "touchstart"]) link.addEventListener(kind, aim, { passive: true });
    link.addEventListener("click", (event) => {
      aim();
      if (event.ctrlKey || event.metaKey || event.shiftKey || event.altKey) return;
      event.preventDefault();
      history.replaceState(history.state, "", link.href);
      location.reload();
    });
  }
}

/** Another language is another page, and this one has what another would not have. */
export function hideSwitch() {
  const nav = document.querySelector("header nav");
  if (nav instanceof HTMLElement) nav.hidden = true;
}
