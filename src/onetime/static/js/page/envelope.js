/**
 * The page of a link `/secret#…`: asks the server with proofs made from the key, and opens in the browser what comes.
 *
 * Nothing is opened before the button is pressed, but for a tab where it was pressed already. The key stays in the address and
 * the claim in the history's entry until the server has deleted the content, or it is known to be gone.
 */

import { look, Refused } from "../api.js";
import { Invalid, linkProof, parseLinkKey, secretId, toBase64Url } from "../crypto/envelope.js";
import { earlierClaim, isForgotten, keepFragment, keepKey } from "../part/address.js";
import { hindrance } from "../part/capable.js";
import { complain, explain, relent, restOf } from "../part/complain.js";
import { find } from "../part/find.js";
import { offer, tellItIsGone, tellWhoHasIt } from "../part/offer.js";
import { enter } from "../part/states.js";

/** @typedef {import("../part/reveal.js").Link} Link */

const KEY_LETTERS = 43;

keepFragment();
addEventListener("hashchange", () => location.reload());
addEventListener("pageshow", (event) => {
  if (event.persisted) location.reload();
});
addEventListener("pagehide", () => {
  for (const input of document.querySelectorAll("input")) input.value = "";
});

const hindered = hindrance();
if (hindered) enter(hindered);
else if (isForgotten()) enter("gone");
else await follow(location.hash, askForAll);

/**
 * @param {string} text with a link in it, or what is left of one
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
  const key = parseLinkKey(location.hash.slice(1));
  const proof = await linkProof(key);
  await meet({ key, proof, id: toBase64Url(await secretId(proof)), mayBeOurs: false });
}

/**
 * Most come whole: what repairs the others is loaded for them alone.
 *
 * @param {string} text
 */
async function keyIn(text) {
  const key = text.replace(/^#/, "");
  try {
    parseLinkKey(key);
    return key;
  } catch {
    const { repair } = await import("../part/fragment.js");
    return repair(text, KEY_LETTERS, parseLinkKey);
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

/** @param {Link} link */
async function meet(link) {
  try {
    const seen = await look(link.proof);
    const isClaimed = seen.state === "claimed";
    link.mayBeOurs = isClaimed && earlierClaim() !== null;
    if (isClaimed && !link.mayBeOurs) await tellWhoHasIt(link.id);
    else if (seen.closed && !isClaimed) enter("closed");
    else offer(link, seen, () => meet(link));
  } catch (error) {
    if (error instanceof Refused && error.code === "not_found") await tellItIsGone(link.id);
    else askAgain(link, error);
  }
}

/**
 * @param {Link} link
 * @param {unknown} error
 */
function askAgain(link, error) {
  enter("trouble", { quietly: true });
  find("again", HTMLButtonElement).addEventListener("click", () => {
    if (restOf("trouble") === 0) meet(link);
  });
  explain("trouble", error);
}
