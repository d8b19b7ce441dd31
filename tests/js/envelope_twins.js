// Asks broken twins of envelope.js: node envelope_twins.js FOLDER prints the first vector that catches each, as JSON.

import { readdirSync } from "node:fs";
import { pathToFileURL } from "node:url";

import { Asked } from "./envelope_cases.js";
import { NAMES, read } from "./vectors.js";

const [, , folder] = process.argv;

/** Those that stretch a passphrase take long: last. */
const ordered = [...NAMES].sort((one, other) => slow(one) - slow(other));

function slow(name) {
  return Number(name.startsWith("derive-"));
}

async function caughtBy(envelope) {
  const asked = new Asked(envelope, read);
  for (const name of ordered) {
    try {
      if ((await asked.faults(name)).length) return name;
    } catch {
      return name;
    }
  }
  return null;
}

const found = {};
for (const file of readdirSync(folder)) {
  found[file] = await caughtBy(await import(pathToFileURL(`${folder}/${file}`)));
}
process.stdout.write(JSON.stringify(found));
