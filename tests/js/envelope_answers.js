// What envelope.js makes of each input, for comparison with envelope.py: JSON in, JSON out; null is refused.

import { text } from "node:stream/consumers";

import * as envelope from "../../src/onetime/static/js/crypto/envelope.js";
import { bytes, hex } from "./envelope_cases.js";
import "./vectors.js";

function answer(ask) {
  try {
    return ask();
  } catch (error) {
    if (error instanceof envelope.Invalid) return `${error.field} ${error.rule}`;
    if (error instanceof envelope.Undecryptable) return null;
    throw error;
  }
}

function parsed(line) {
  const header = envelope.parseHeader(bytes(line));
  return [hex(envelope.headerLine(header)), envelope.bodySize(header)];
}

const asked = JSON.parse(await text(process.stdin));
const answers = {
  passphrases: asked.passphrases.map((one) => answer(() => envelope.normalPassphrase(one))),
  links: asked.links.map((one) => answer(() => hex(envelope.parseLinkKey(one)))),
  lines: asked.lines.map((one) => answer(() => parsed(one))),
};
process.stdout.write(JSON.stringify(answers));
