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

/** @param {number} bytes */
function size(bytes) {
  const unit = bytes < 1000 ? "byte" : bytes < 1_000_000 ? "kilobyte" : "megabyte";
  const shown = bytes < 1000 ? bytes : bytes < 1_000_000 ? bytes / 1000 : bytes / 1_000_000;
  return new Intl.NumberFormat(language, {
    style: "unit",
    unit,
    unitDisplay: bytes < 1000 ? "long" : "short",
    maximumFractionDigits: 1,
  }).format(shown);
}

function count() {
  const text = secret.value;
  const bytes = new TextEncoder().encode(text).length;
  // What a reader calls a character; of a long text the number of code points is near enough, and quicker.
  const characters = text.length < 5000 ? [...segments.segment(text)].length : [...text].length;
  find("characters", HTMLElement).textContent = number.format(characters);
  find("bytes", HTMLElement).textContent = size(bytes);
  find("count", HTMLElement).hidden = text === "";
  find("too-large", HTMLElement).hidden = bytes <= Number(secret.dataset["mostBytes"]);
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
