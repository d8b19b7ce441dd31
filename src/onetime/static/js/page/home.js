import { hindrance } from "../part/capable.js";
import { find, words } from "../part/find.js";
import { language } from "../part/language.js";
import { offerToShow } from "../part/passphrase.js";
import { attend } from "../part/ready.js";
import { canRemember, forget, forgetAll, remember, remembered } from "../part/recent.js";
import { bytesOf, shareFrom } from "../part/sharing.js";
import { sendOnce } from "../part/submit.js";
import { instant, showTimes } from "../part/times.js";

/** @typedef {import("../part/sharing.js").Made} Made */

const form = find("share", HTMLFormElement);
const secret = find("secret", HTMLTextAreaElement);
const passphrase = find("passphrase", HTMLInputElement);
const generate = find("kind-generate", HTMLInputElement);

const segments = new Intl.Segmenter(language);
const number = new Intl.NumberFormat(language);

/** A text that was refused, and said to be: it is not said twice. */
let refused = secret.getAttribute("aria-invalid") === "true" ? secret.defaultValue : undefined;

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
  const bytes = bytesOf(text);
  // What a reader calls a character; of a long text the number of code points is near enough, and quicker.
  const characters = text.length < 5000 ? [...segments.segment(text)].length : [...text].length;
  find("characters", HTMLElement).textContent = number.format(characters);
  const most = Number(secret.dataset["mostBytes"]);
  find("bytes", HTMLElement).textContent = size(bytes, most);
  find("count", HTMLElement).hidden = text === "";
  find("too-large", HTMLElement).hidden = bytes <= most || text === refused;
}

/** What is not to be shared is not sent. */
function choose() {
  secret.disabled = generate.checked;
}

function wipe() {
  secret.value = passphrase.value = secret.defaultValue = passphrase.defaultValue = "";
}

/** @param {Made} made */
function show(made) {
  wipe();
  const ready = find("ready", HTMLTemplateElement);
  const { link: page, receipt: receiptPage } = form.dataset;
  const main = find("main", HTMLElement);
  for (const each of [...main.children]) if (!(each instanceof HTMLTemplateElement)) each.remove();
  main.prepend(ready.content.cloneNode(true));
  // It would lead away from a link that is nowhere else.
  document.querySelector(".head nav")?.remove();
  const link = find("link", HTMLTextAreaElement);
  link.value = `${page}#${made.link}`;
  find("receipt", HTMLAnchorElement).href = `${receiptPage}#${made.receipt}`;
  instant(find("stops-at", HTMLTimeElement), made.secretExpiresAt);
  if (!made.hasPassphrase) find("tell-passphrase", HTMLElement).remove();
  if (made.value === undefined) find("made-up", HTMLElement).remove();
  else find("value", HTMLElement).textContent = made.value;
  const drawn = draw(link.value);
  find("code", HTMLDetailsElement).addEventListener("toggle", async () => {
    find("drawn", HTMLElement).replaceChildren(await drawn);
  });
  offerToRemember({ link: made.receipt, created: made.createdAt, expires: made.expiresAt });
  let isKept = false;
  attend(() => {
    isKept = true;
  });
  addEventListener("beforeunload", (event) => {
    if (!isKept) event.preventDefault();
  });
  addEventListener("pagehide", (event) => {
    link.value = "";
    if (event.persisted) addEventListener("pageshow", () => location.reload(), { once: true });
  });
  document.title = ready.dataset["title"] ?? document.title;
  scrollTo(0, 0);
  find("done", HTMLElement).focus();
}

/**
 * What draws it is fetched now: it would be a tenth of the first page, and few want it.
 *
 * @param {string} link
 */
async function draw(link) {
  try {
    const qr = await import("../part/qr.js");
    const picture = qr.draw(link);
    picture.classList.add("qr");
    picture.setAttribute("role", "img");
    picture.setAttribute("aria-label", words("qr-name").textContent ?? "");
    return picture;
  } catch {
    return words("not-drawn");
  }
}

/** @param {import("../part/recent.js").Kept} receipt */
function offerToRemember(receipt) {
  const box = find("remember", HTMLInputElement);
  find("may-remember", HTMLElement).hidden = !canRemember();
  box.addEventListener("change", () => {
    if (!box.checked) forget(receipt.link);
    else box.checked = remember(receipt);
  });
}

function showRemembered() {
  const kept = remembered();
  const items = kept.map(({ link, created }) => {
    const item = words("receipt-item");
    const address = /** @type {HTMLAnchorElement} */ (item.querySelector("a"));
    address.href = `${form.dataset["receipt"]}#${link}`;
    instant(/** @type {HTMLTimeElement} */ (item.querySelector("time")), created);
    return item;
  });
  find("receipts", HTMLElement).replaceChildren(...items);
  find("recent", HTMLElement).hidden = kept.length === 0;
}

function offerToForget() {
  const button = find("forget", HTMLButtonElement);
  button.hidden = false;
  button.addEventListener("click", () => {
    forgetAll();
    showRemembered();
    const said = find("forgotten", HTMLElement);
    said.replaceChildren(words("forgotten-words"));
    said.focus();
  });
}

const why = hindrance();
if (why) {
  const warning = find("warning", HTMLElement);
  warning.replaceChildren(words(why));
  warning.hidden = false;
  sendOnce(form);
} else {
  form.querySelector(".sight")?.replaceWith(words("end-to-end"));
  find("who-makes-it", HTMLElement).replaceChildren(words("browser-makes-it"));
  shareFrom(form, (bytes) => size(bytes, Number(secret.dataset["mostBytes"])), {
    done: show,
    refused: () => {
      refused = secret.value;
      count();
    },
  });
}
secret.addEventListener("input", count);
form.addEventListener("change", choose);
addEventListener("pageshow", () => {
  if (!form.isConnected) return;
  choose();
  count();
  showRemembered();
});
addEventListener("pagehide", (event) => {
  if (event.persisted) wipe();
});
offerToShow();
offerToForget();
showTimes();
