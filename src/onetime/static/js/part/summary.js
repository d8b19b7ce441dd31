import { find, words } from "./find.js";

const title = document.title;

/**
 * Say what is wrong as the server says it: in the summary, which takes the focus, and at the field. Nothing else changes.
 *
 * @param {DocumentFragment} message
 * @param {string} [field] the id of the control; none: it is about no field
 */
export function complain(message, field) {
  clear();
  const what = (message.textContent ?? "").trim();
  const summary = find("summary", HTMLElement);
  const link = find("summary-link", HTMLAnchorElement);
  const text = find("summary-text", HTMLElement);
  find("summary-title", HTMLElement).replaceChildren(words(field ? "to-correct" : "not-made"));
  /** @type {HTMLElement} */ (link.closest("ul")).hidden = !field;
  text.hidden = field !== undefined;
  if (field) {
    link.href = `#${field}`;
    link.textContent = what;
    markField(field, what);
  } else {
    text.replaceChildren(what, " ", words("kept"));
  }
  const promise = document.getElementById("promise");
  if (promise) promise.hidden = true;
  document.title = (words("wrong-title", { what }).textContent ?? "").trim();
  summary.hidden = false;
  summary.focus();
}

/** As if nothing had been wrong. */
export function clear() {
  find("summary", HTMLElement).hidden = true;
  for (const control of document.querySelectorAll("[aria-invalid]")) control.removeAttribute("aria-invalid");
  for (const field of document.querySelectorAll(".bad")) field.classList.remove("bad");
  for (const said of document.querySelectorAll("[id$=-wrong]")) {
    if (said instanceof HTMLElement) said.hidden = true;
  }
  document.title = title;
}

/**
 * @param {string} id
 * @param {string} what
 */
function markField(id, what) {
  const control = find(id, HTMLElement);
  control.setAttribute("aria-invalid", "true");
  control.closest(".field")?.classList.add("bad");
  const said = find(`${id}-wrong`, HTMLElement);
  said.hidden = false;
  /** @type {HTMLElement} */ (said.querySelector("span")).textContent = what;
}
