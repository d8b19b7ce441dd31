import { find, words } from "./find.js";

/**
 * Make the button that copies `id` work, and say what came of it.
 *
 * @param {string} id of the element whose text is copied; it is selected where copying fails
 * @param {() => string} read the exact text
 * @param {() => void} [copied]
 */
export function offerCopy(id, read, copied) {
  const button = document.querySelector(`[data-copies="${id}"]`);
  if (!(button instanceof HTMLButtonElement)) return;
  button.hidden = false;
  button.addEventListener("click", async () => {
    const done = (await write(read())) || writeTheOldWay(read());
    if (done) copied?.();
    else select(find(id, HTMLElement));
    const said = find(`${id}-said`, HTMLElement);
    said.replaceChildren();
    // A status is read out when it changes, so the same words again need a moment without.
    setTimeout(() => said.replaceChildren(words(`${id}-${done ? "copied" : "not-copied"}`)), 50);
  });
}

/** @param {string} text */
async function write(text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    return false;
  }
}

/**
 * Over plain http there is no navigator.clipboard.
 *
 * @param {string} text
 */
function writeTheOldWay(text) {
  let done = false;
  /** @param {ClipboardEvent} event */
  const give = (event) => {
    event.clipboardData?.setData("text/plain", text);
    event.preventDefault();
    done = event.clipboardData !== null;
  };
  document.addEventListener("copy", give, { once: true });
  document.execCommand("copy");
  document.removeEventListener("copy", give);
  return done;
}

/** @param {HTMLElement} element */
function select(element) {
  if (element instanceof HTMLTextAreaElement) element.select();
  else getSelection()?.selectAllChildren(element);
  element.focus();
}
