/** Shows what was in an envelope: as text nodes and as downloads, so that nothing of it can do anything. */

import { counted } from "./count.js";
import { find, words } from "./find.js";
import { offerDownload, offerToKeep, remind, withdraw } from "./keep.js";
import { language } from "./language.js";
import { enter } from "./states.js";

/** @typedef {import("../crypto/envelope.js").Opened} Opened */

// Shown as what they do: a line feed and a tab. The joiners are part of emoji and of several scripts.
const SEEN = /[\n\t\u200c\u200d]/;
const UNSEEN = /[\p{Cc}\p{Cf}\p{Cn}\p{Co}\p{Zl}\p{Zp}]/u;

// What some system has no file by: characters, and names of devices.
const NOT_IN_NAMES = /[<>:"|?*\p{C}]/gu;
const DEVICE = /^(?:con|prn|aux|nul|(?:com|lpt)[0-9\u00b9\u00b2\u00b3])(?=\.|$)/i;
// What looks like room, and would push the end of a name, which tells what kind of file it is, out of sight.
const ROOM = /[\s\u115f\u1160\u2800\u3164\uffa0]+/gu;

/**
 * @param {Opened} opened
 * @returns {Promise<void>} when it has arrived: text as it is shown, files when they are saved
 * @throws {TypeError} it says that it is text, and is none
 */
export function show({ header, content }) {
  if (header.kind === "file") return showFiles(header.files, content);
  showText(new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(content), content);
  return Promise.resolve();
}

/**
 * @param {string} text
 * @param {Uint8Array<ArrayBuffer>} exact
 */
function showText(text, exact) {
  const letters = [...text];
  const lines = text.split("\n").length - (text.endsWith("\n") ? 1 : 0);
  const unseen = letters.filter((letter) => UNSEEN.test(letter) && !SEEN.test(letter)).length;
  enter("text");
  find("secret", HTMLPreElement).textContent = text;
  find("counted", HTMLElement).append(counted("characters", letters.length), ", ", counted("lines", lines));
  if (unseen > 0) find("beside", HTMLElement).replaceWith(counted("unseen", unseen));
  offerDownload(find("save", HTMLAnchorElement), "secret.txt", exact);
  offerToKeep(text);
}

/**
 * @param {Opened["header"]["files"]} files
 * @param {Uint8Array<ArrayBuffer>} content
 */
async function showFiles(files, content) {
  enter("file");
  const keep = remind();
  /** @type {HTMLAnchorElement[]} */
  const links = [];
  let at = 0;
  for (const { name, size } of files) {
    const item = words("one-file");
    const link = /** @type {HTMLAnchorElement} */ (item.querySelector("a"));
    /** @type {HTMLElement} */ (item.querySelector(".name")).textContent = name;
    /** @type {HTMLElement} */ (item.querySelector(".size")).textContent = sizeOf(size);
    offerDownload(link, safeName(name), content.slice(at, at + size));
    links.push(link);
    at += size;
    find("files", HTMLElement).append(item);
  }
  addEventListener("pagehide", () => links.forEach(withdraw));
  await Promise.all(links.map((link) => new Promise((saved) => link.addEventListener("click", saved))));
  keep();
}

/**
 * A name for any system; what the sender called it stands beside the button.
 *
 * @param {string} name
 */
export function safeName(name) {
  const safe = name.replace(NOT_IN_NAMES, "_").replace(ROOM, " ").replace(/^[. ]+|[. ]+$/g, "");
  return safe.replace(DEVICE, "_$&") || "secret";
}

/** @param {number} bytes */
function sizeOf(bytes) {
  const unit = bytes < 1000 ? "byte" : bytes < 1_000_000 ? "kilobyte" : "megabyte";
  const shown = bytes < 1000 ? bytes : bytes < 1_000_000 ? bytes / 1000 : bytes / 1_000_000;
  const unitDisplay = bytes < 1000 ? "long" : "short";
  return new Intl.NumberFormat(language, { style: "unit", unit, unitDisplay, maximumFractionDigits: 1 }).format(shown);
}
