/**
 * Whether another tab of this browser has a secret: tabs ask each other, and nothing is stored. They speak of the secret's id,
 * which opens nothing.
 */

// Who has not answered by then has not got it, or is asleep.
const PATIENCE_MS = 400;

const channel = new BroadcastChannel("onetime");

/** @type {Set<string>} */
const ours = new Set();

channel.addEventListener("message", ({ data }) => {
  if (ours.has(data?.asked)) channel.postMessage({ had: data.asked });
});

/**
 * From now on, say that it is here.
 *
 * @param {string} id
 */
export function announce(id) {
  ours.add(id);
}

/**
 * It is not here after all.
 *
 * @param {string} id
 */
export function withdraw(id) {
  ours.delete(id);
}

/**
 * @param {string} id
 * @returns {Promise<boolean>}
 */
export async function isInAnotherTab(id) {
  return await new Promise((resolve) => {
    const hear = (/** @type {MessageEvent} */ { data }) => {
      if (data?.had === id) answer(true);
    };
    const answer = (/** @type {boolean} */ isThere) => {
      channel.removeEventListener("message", hear);
      clearTimeout(patience);
      resolve(isThere);
    };
    const patience = setTimeout(answer, PATIENCE_MS, false);
    channel.addEventListener("message", hear);
    channel.postMessage({ asked: id });
  });
}
