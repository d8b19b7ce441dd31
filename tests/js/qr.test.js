// QR codes, read by somebody else's reader. test_qr.py holds every module of them against another writer.
//
// TEST_ROUNDS=full reads every version with every level and mask, and gives ten times the random cases.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import test from "node:test";

import { encode } from "../../src/onetime/static/js/part/qr.js";
import { readCode } from "./jsqr.js";
import { seeded } from "./vectors.js";

const FULL = process.env.TEST_ROUNDS === "full";
const ROUNDS = FULL ? 200 : 20;
const LEVELS = ["L", "M", "Q", "H"];
const VERSIONS = Array.from({ length: 40 }, (_, at) => at + 1);
const MASKS = [0, 1, 2, 3, 4, 5, 6, 7];
// The first and the last, and where the frame or the length gains a part.
const EDGES = [1, 2, 7, 10, 40];

// Table 7: the most bytes, for some of its rows.
const MOST = {
  1: [17, 14, 11, 7],
  2: [32, 26, 20, 14],
  4: [78, 62, 46, 34],
  6: [134, 106, 74, 58],
  7: [154, 122, 86, 64],
  9: [230, 180, 130, 98],
  10: [271, 213, 151, 119],
  14: [458, 362, 258, 194],
  26: [1367, 1059, 751, 593],
  27: [1465, 1125, 805, 625],
  32: [1952, 1538, 1112, 842],
  39: [2809, 2213, 1579, 1219],
  40: [2953, 2331, 1663, 1273],
};

const next = seeded(18004);

function random(length) {
  return Uint8Array.from({ length }, () => next() & 255);
}

/** The most bytes of the version, by asking. */
function most(version, level) {
  let [fits, fitsNot] = [0, 3000];
  while (fitsNot - fits > 1) {
    const middle = (fits + fitsNot) >> 1;
    let found = Infinity;
    try {
      found = encode(new Uint8Array(middle), level, { mask: 0 }).version;
    } catch (error) {
      assert(error instanceof RangeError);
    }
    if (found <= version) fits = middle;
    else fitsNot = middle;
  }
  return fits;
}

function check(content, code) {
  const found = readCode(code);
  const what = `version ${code.version}, mask ${code.mask}`;
  assert(found, `${what} is not read`);
  assert.equal(found.version, code.version, what);
  assert.deepEqual(Uint8Array.from(found.binaryData), content, what);
}

test("as much as the standard says goes into a code, and not one byte more", () => {
  for (const [version, row] of Object.entries(MOST)) {
    for (const [at, level] of LEVELS.entries()) {
      const wish = { mask: 3 };
      assert.equal(encode(new Uint8Array(row[at]), level, wish).version, Number(version));
      const more = new Uint8Array(row[at] + 1);
      if (version === "40") assert.throws(() => encode(more, level, wish), RangeError);
      else assert.equal(encode(more, level, wish).version, Number(version) + 1);
    }
  }
});

test("every version is read at every level, filled to the last byte", () => {
  for (const version of VERSIONS) {
    for (const [at, level] of LEVELS.entries()) {
      const content = random(version in MOST ? MOST[version][at] : most(version, level));
      const masks = FULL || EDGES.includes(version) ? MASKS : [(version + at) % 8];
      for (const mask of masks) {
        const code = encode(content, level, { mask });
        assert.deepEqual([code.version, code.mask, code.size], [version, mask, 17 + 4 * version]);
        check(content, code);
      }
    }
  }
});

test("any bytes of any length are read again", () => {
  for (let round = 0; round < ROUNDS; round += 1) {
    const level = LEVELS[next() % 4];
    const content = random(next() % (round % 4 === 0 ? 1274 : 200));
    check(content, encode(content, level));
  }
});

test("links are read to the letter, by the level that needs no saying", () => {
  const key = "q83vEjRWeJCrze8SNFZ4kKvN7xI0VniQq83vEjRWeJA";
  const hosts = [
    "http://127.0.0.1:3000",
    "https://onetime.example",
    "https://secrets.example.org/tools/onetime",
    `https://${"a".repeat(63)}.${"b".repeat(63)}.${"c".repeat(63)}.example/ots`,
    "https://xn--80aaxitdbjk.xn--j1amh",
  ];
  for (const host of hosts) {
    for (const link of [`${host}/secret#${key}`, `${host}/secret/${key.slice(0, 31)}`, `${host}/receipt#${key}${key}`]) {
      const code = encode(link);
      const same = encode(link, "M");
      assert.deepEqual([code.version, code.mask], [same.version, same.mask]);
      assert.equal(readCode(code)?.data, link);
    }
  }
  assert.equal(encode(`https://onetime.example/secret#${key}`).version, 5);
});

test("text beyond ASCII is read as UTF-8", () => {
  for (const text of ["https://приклад.укр/секрет#ключ", "naïve 🔑", "\u0000\n"]) {
    assert.equal(readCode(encode(text))?.data, text);
  }
});

test("a code with a blot is read", () => {
  const content = random(100);
  const code = encode(content, "H");
  // A blot off the frame of the lower right corner.
  const from = code.size - 24;
  const isBlot = (row, column) => row >= from && row < from + 14 && column >= from && column < from + 14;
  const spoiled = { ...code, isDark: (row, column) => code.isDark(row, column) !== isBlot(row, column) };
  check(content, spoiled);
});

test("beyond its edge a code is light", () => {
  const { size, isDark } = encode("edge");
  for (let at = -5; at < size + 5; at += 1) {
    for (const outside of [-5, -1, size, size + 4]) {
      assert(!isDark(at, outside));
      assert(!isDark(outside, at));
    }
  }
});

test("a larger version may be asked for, a mask that is none not", () => {
  assert.equal(encode("text", "M", { version: 12 }).version, 12);
  assert.equal(encode("x".repeat(300), "M", { version: 2 }).version, 13);
  for (const mask of [-1, 8, 0.5]) assert.throws(() => encode("text", "M", { mask }), RangeError);
  assert.throws(() => encode("text", "M", { version: 41 }), RangeError);
});

// One line of the encoder each, made wrong, and a version that shows it.
const TWINS = [
  ["0x11d", "0x11b", 1],
  ["root = multiply(root, 2)", "root = multiply(root, 3)", 1],
  ["number < firstLong ? 0 : 1", "number < firstLong ? 1 : 0", 40],
  ["right === 8 ? 3 : 2", "2", 4],
  ["isUpwards = !isUpwards", "isUpwards = true", 1],
  ["version === 32 ? 26 : ", "", 32],
  ["(row) => row % 2 === 0", "(_row, column) => column % 2 === 0", 1],
  ["<< 3) | mask", "<< 3) | (mask ^ 2)", 1],
  ["0b101010000010010", "0", 1],
  ["2 * 18", "18", 7],
  ["version < 10 ? [bytes.length >> 4]", "version < 11 ? [bytes.length >> 4]", 10],
];

test("a wrong line of the encoder is found out", async () => {
  const source = readFileSync(new URL("../../src/onetime/static/js/part/qr.js", import.meta.url), "utf-8");
  for (const [right, wrong, version] of TWINS) {
    assert.equal(source.split(right).length, 2, right);
    const twin = source.replace(right, wrong);
    const { encode: spoiled } = await import(`data:text/javascript,${encodeURIComponent(twin)}`);
    const content = random(MOST[version][0]);
    assert.throws(() => check(content, spoiled(content, "L", { version, mask: 1 })), undefined, right);
    check(content, encode(content, "L", { version, mask: 1 }));
  }
});
