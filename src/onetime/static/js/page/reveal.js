import { offerCopy } from "../part/copy.js";
import { find } from "../part/find.js";

const shown = find("secret", HTMLPreElement);
const save = find("save", HTMLAnchorElement);
const text = decode(save.href);
let kept = false;

function keep() {
  kept = true;
  find("unkept", HTMLElement).hidden = true;
}

/**
 * The exact text: what is shown cannot hold every character.
 *
 * @param {string} address `data:…;base64,…`
 */
function decode(address) {
  const bytes = Uint8Array.from(atob(address.slice(address.indexOf(",") + 1)), (letter) => letter.charCodeAt(0));
  return new TextDecoder("utf-8", { ignoreBOM: true }).decode(bytes);
}

offerCopy("secret", () => text, keep);
save.addEventListener("click", keep);
shown.addEventListener("copy", keep);

addEventListener("beforeunload", (event) => {
  if (kept) return;
  find("unkept", HTMLElement).hidden = false;
  event.preventDefault();
});
addEventListener("pagehide", () => {
  shown.textContent = "";
  save.removeAttribute("href");
});
