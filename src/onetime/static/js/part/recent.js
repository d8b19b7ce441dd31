/**
 * Receipts that somebody has asked this browser to remember. What is kept of each: its link's fragment, and two times. A
 * receipt cannot open its secret; keys of secrets and texts are never here.
 */

/**
 * Seconds since 1970.
 *
 * @typedef {{ link: string, created: number, expires: number }} Kept
 */

// Installations under different paths of one host share their storage.
const NAME = `receipts ${new URL("../../../../", import.meta.url).pathname}`;
const MOST = 200;

/** Whether this browser keeps anything: some are told not to. */
export function canRemember() {
  try {
    return localStorage !== null;
  } catch {
    return false;
  }
}

/**
 * The latest first; those that have ended are gone.
 *
 * @returns {Kept[]}
 */
export function remembered() {
  if (!canRemember()) return [];
  const now = Date.now() / 1000;
  const all = read();
  const left = all.filter(({ expires }) => expires > now);
  if (left.length < all.length) write(left);
  return left;
}

/**
 * @param {Kept} receipt
 * @returns whether it is kept now
 */
export function remember(receipt) {
  const others = remembered().filter(({ link }) => link !== receipt.link);
  return write([receipt, ...others].slice(0, MOST));
}

/** @param {string} forgotten a link */
export function forget(forgotten) {
  write(remembered().filter(({ link }) => link !== forgotten));
}

export function forgetAll() {
  localStorage.removeItem(NAME);
}

/** @returns {Kept[]} */
function read() {
  try {
    /** @type {unknown[]} */
    const found = JSON.parse(localStorage.getItem(NAME) ?? "[]");
    return found.filter(isKept);
  } catch {
    return [];
  }
}

/**
 * @param {any} each
 * @returns {each is Kept}
 */
function isKept(each) {
  const isLink = typeof each?.link === "string" && /^[\w-]{86}$/.test(each.link);
  return isLink && Number.isSafeInteger(each.created) && Number.isSafeInteger(each.expires);
}

/** @param {Kept[]} receipts */
function write(receipts) {
  try {
    if (receipts.length > 0) localStorage.setItem(NAME, JSON.stringify(receipts));
    else localStorage.removeItem(NAME);
    return true;
  } catch {
    return false;
  }
}
