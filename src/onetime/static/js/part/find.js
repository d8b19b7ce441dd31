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
 * The content of the template with this id: scripts hold no sentence of their own.
 *
 * @param {string} id
 */
export function words(id) {
  return find(id, HTMLTemplateElement).content.cloneNode(true);
}
