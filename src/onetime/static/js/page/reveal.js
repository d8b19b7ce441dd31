import { find } from "../part/find.js";
import { offerToKeep } from "../part/keep.js";

offerToKeep(decode(find("save", HTMLAnchorElement).href));

/**
 * The exact text: what is shown cannot hold every character.
 *
 * @param {string} address `data:…;base64,…`
 */
function decode(address) {
  const bytes = Uint8Array.from(atob(address.slice(address.indexOf(",") + 1)), (letter) => letter.charCodeAt(0));
  return new TextDecoder("utf-8", { ignoreBOM: true }).decode(bytes);
}
