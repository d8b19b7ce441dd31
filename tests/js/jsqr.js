// jsqr, a reader of QR codes that somebody else has written, with a row of its tables put right.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { createRequire, Module } from "node:module";

// It looks for the alignment patterns of version 23 four modules off. https://github.com/cozmo/jsQR/issues/251
const WRONG = "[6, 30, 54, 74, 102]";
const RIGHT = "[6, 30, 54, 78, 102]";

const PIXELS = 2; // of a module: it finds nothing in codes of single pixels
const BORDER = 4;

function load() {
  const path = createRequire(import.meta.url).resolve("jsqr");
  const source = readFileSync(path, "utf-8");
  assert.equal(source.split(WRONG).length, 2, "jsqr has changed: does it still have to be put right?");
  const made = new Module(path);
  made._compile(source.replace(WRONG, RIGHT), path);
  return made.exports.default ?? made.exports;
}

/** `{ version, data, binaryData }`, or null: from bytes of red, green, blue and opacity. */
export const read = load();

/** What is read from a code of qr.js. */
export function readCode({ size, isDark }) {
  const side = (size + 2 * BORDER) * PIXELS;
  const pixels = new Uint8ClampedArray(side * side * 4).fill(255);
  for (let y = 0; y < side; y += 1) {
    for (let x = 0; x < side; x += 1) {
      const [row, column] = [y, x].map((at) => Math.floor(at / PIXELS) - BORDER);
      if (isDark(row, column)) pixels.fill(0, (y * side + x) * 4, (y * side + x) * 4 + 3);
    }
  }
  return read(pixels, side, side, { inversionAttempts: "dontInvert" });
}
