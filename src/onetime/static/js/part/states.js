import { find } from "./find.js";

// As every title ends.
const NAME = document.title.slice(document.title.lastIndexOf(" · "));

let current = "";

/**
 * Show a state of the page; its headline takes the focus, so that it is read out.
 *
 * @param {string} name
 * @param {{ quietly?: boolean }} [options] as the page comes: nothing has happened that would have to be read out
 */
export function enter(name, { quietly = false } = {}) {
  current = `at-${name}`;
  const state = find(current, HTMLTemplateElement);
  const place = find("state", HTMLElement);
  place.replaceChildren(state.content.cloneNode(true));
  retitle(current);
  document.body.className = state.dataset["width"] ?? "";
  if (!quietly) place.querySelector("h1")?.focus();
}

/** @param {string} [id] of the template that says what the title becomes; without one, what the state says */
export function retitle(id = current) {
  document.title = (find(id, HTMLTemplateElement).dataset["title"] ?? "") + NAME;
}
