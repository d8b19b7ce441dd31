/** What a reader does with a secret that is shown: copy it, save it, and be reminded to. */

import { offerCopy } from "./copy.js";
import { find } from "./find.js";

/**
 * Make the buttons below the text work, and wipe it when the page goes away.
 *
 * @param {string} text exactly: what is shown cannot hold every character
 */
export function offerToKeep(text) {
  const shown = find("secret", HTMLPreElement);
  const save = find("save", HTMLAnchorElement);
  const keep = remind();
  let kept = text;
  offerCopy("secret", () => kept, keep);
  save.addEventListener("click", keep);
  shown.addEventListener("copy", keep);
  addEventListener("pagehide", () => {
    kept = shown.textContent = "";
    withdraw(save);
  });
}

/**
 * A link that saves these bytes. Browsers never show the type it has, so nothing of it can run here.
 *
 * @param {HTMLAnchorElement} link
 * @param {string} name
 * @param {BlobPart} bytes
 */
export function offerDownload(link, name, bytes) {
  link.href = URL.createObjectURL(new Blob([bytes], { type: "application/octet-stream" }));
  link.download = name;
}

/** @param {HTMLAnchorElement} link */
export function withdraw(link) {
  if (link.protocol === "blob:") URL.revokeObjectURL(link.href);
  link.removeAttribute("href");
}

/** Who leaves before calling what this returns is asked whether they want to. */
export function remind() {
  let isKept = false;
  addEventListener("beforeunload", (event) => {
    if (isKept) return;
    find("unkept", HTMLElement).hidden = false;
    event.preventDefault();
  });
  return () => {
    isKept = true;
    find("unkept", HTMLElement).hidden = true;
  };
}
