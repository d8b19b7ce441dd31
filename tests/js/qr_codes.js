// The codes of cases on standard input, on standard output: [{ content (hex), level, version, mask }] gives
// [{ version, mask, rows }], where a row is a text of 0 and 1. A mask that is null is the encoder's to choose.

import { readFileSync } from "node:fs";

import { encode } from "../../src/onetime/static/js/part/qr.js";

function answer({ content, level, version, mask }) {
  const wish = mask === null ? { version } : { version, mask };
  const code = encode(Uint8Array.from(Buffer.from(content, "hex")), level, wish);
  const all = [...Array(code.size).keys()];
  const rows = all.map((row) => all.map((column) => (code.isDark(row, column) ? "1" : "0")).join(""));
  return { version: code.version, mask: code.mask, rows };
}

const cases = JSON.parse(readFileSync(0, "utf-8"));
process.stdout.write(JSON.stringify(cases.map(answer)));
