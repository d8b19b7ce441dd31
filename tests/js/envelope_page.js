// Every vector in a page: `globalThis.answered` becomes the faults, by the names of the cases.

import * as envelope from "./envelope.js";
import { Asked } from "./envelope_cases.js";

async function read(name) {
  const answer = await fetch(`vectors/${name}.json`);
  return await answer.json();
}

async function all() {
  const names = await (await fetch("names.json")).json();
  const asked = new Asked(envelope, read);
  const found = {};
  for (const name of names) found[name] = await asked.faults(name);
  return found;
}

globalThis.answered = all();
