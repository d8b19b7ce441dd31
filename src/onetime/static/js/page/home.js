import { find } from "../part/find.js";
import { language } from "../part/language.js";
import { offerToShow } from "../part/passphrase.js";
import { sendOnce } from "../part/submit.js";

const form = find("share", HTMLFormElement);
const secret = find("secret", HTMLTextAreaElement);
const passphrase = find("passphrase", HTMLInputElement);
const generate = find("kind-generate", HTMLInputElement);

const segments = new Intl.Segmenter(language);
const number = new Intl.NumberFormat(language);

/**
 * @param {number} bytes
 * @param {number} exactAbove from there on every byte is shown: rounded, a text just too long would look short enough
 */
function size(bytes, exactAbove) {
  const isExact = bytes < 1000 || bytes > exactAbove;
  const unit = isExact ? "byte" : bytes < 1_000_000 ? "kilobyte" : "megabyte";
  const shown = isExact ? bytes : bytes < 1_000_000 ? bytes / 1000 : bytes / 1_000_000;
  return new Intl.NumberFormat(language, {
    style: "unit",
    unit,
    unitDisplay: isExact ? "long" : "short",
    maximumFractionDigits: 1,
  }).format(shown);
}

function count() {
  const text = secret.value;
  const bytes = new TextEncoder().encode(text).length;
  // What a reader calls a character; of a long text the number of code points is near enough, and quicker.
  const characters = text.length < 5000 ? [...segments.segment(text)].length : [...text].length;
  find("characters", HTMLElement).textContent = number.format(characters);
  const most = Number(secret.dataset["mostBytes"]);
  find("bytes", HTMLElement).textContent = size(bytes, most);
  find("count", HTMLElement).hidden = text === "";
  // Of what the server has refused already, the server has said so.
  const isRefused = secret.getAttribute("aria-invalid") === "true" && text === secret.defaultValue;
  find("too-large", HTMLElement).hidden = bytes <= most || isRefused;
}

/** What is not to be shared is not sent. */
function choose() {
  secret.disabled = generate.checked;
}

secret.addEventListener("input", count);
form.addEventListener("change", choose);
addEventListener("pageshow", () => {
  choose();
  count();
});
addEventListener("pagehide", (event) => {
  if (event.persisted) secret.value = passphrase.value = "";
});
offerToShow();
sendOnce(form);
