/**
 * The element that the template promises under this id.
 *
 * @template {Element} T
 * @param {string} id
 * @param {new () => T} kind
 * @returns {T}
 */
export function find(id, kind) {
  const element = document.getElementById(id);
  if (!(element instanceof kind)) throw new TypeError(`#${id} is missing`);
  return element;
}

/**
 * The content of the template with this id: scripts hold no sentence of their own. What the sentence is about stands in
 * `data-word` elements, by its name.
 *
 * @param {string} id
 * @param {Record<string, string>} [values]
 */
export function words(id, values = {}) {
  const content = /** @type {DocumentFragment} */ (find(id, HTMLTemplateElement).content.cloneNode(true));
  for (const [name, value] of Object.entries(values)) {
    for (const element of content.querySelectorAll(`[data-word="${name}"]`)) element.textContent = value;
  }
  return content;
}
