import { offerCopy } from "./copy.js";
import { find } from "./find.js";

/**
 * Make the buttons of a result work, wherever it came from.
 *
 * @param {() => void} [kept] the link has been taken away, one way or another
 */
export function attend(kept) {
  const link = find("link", HTMLTextAreaElement);
  const value = document.getElementById("value");
  offerCopy("link", () => link.value, kept);
  link.addEventListener("focus", () => link.select());
  link.addEventListener("copy", () => kept?.());
  find("code", HTMLDetailsElement).addEventListener("toggle", () => kept?.());
  if (typeof navigator.share === "function") {
    const share = find("pass-on", HTMLButtonElement);
    share.hidden = false;
    share.addEventListener("click", () => pass(link.value, kept));
  }
  if (value !== null) {
    const text = value.textContent ?? "";
    offerCopy("value", () => text);
    addEventListener("pagehide", () => {
      value.textContent = "";
    });
  }
}

/**
 * @param {string} url
 * @param {() => void} [kept]
 */
async function pass(url, kept) {
  try {
    await navigator.share({ url });
    kept?.();
  } catch {
    // The reader changed their mind, or the device has nothing to share with: the link is still there to copy.
  }
}
