import { Refused, settle as tell } from "../api.js";

const FIRST_PAUSE_MS = 1000;
const LONGEST_PAUSE_MS = 30_000;

/**
 * Tell the server that the content is here, until it knows: it then deletes what it has. What is shown depends on nothing of this.
 * Ends when it knows, or has deleted it by itself because the time for fetching it again is over.
 *
 * @param {Parameters<typeof tell>[0]} proofs
 * @param {number} seconds until that time is over
 * @param {() => void} failed called each time it could not be told
 */
export async function settle(proofs, seconds, failed) {
  const end = performance.now() + 1000 * seconds;
  let pause = FIRST_PAUSE_MS;
  while (true) {
    try {
      await tell(proofs);
      return;
    } catch (error) {
      if (error instanceof Refused && error.code === "not_found") return;
    }
    if (performance.now() >= end) return;
    failed();
    await pauseOf(pause);
    pause = Math.min(2 * pause, LONGEST_PAUSE_MS);
  }
}

/**
 * Shorter when the network is back before.
 *
 * @param {number} ms
 */
async function pauseOf(ms) {
  await new Promise((resolve) => {
    const end = () => {
      removeEventListener("online", end);
      clearTimeout(timer);
      resolve(undefined);
    };
    const timer = setTimeout(end, ms);
    addEventListener("online", end);
  });
}
