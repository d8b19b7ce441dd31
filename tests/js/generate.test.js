// New passwords of the page: what they are made of, and that nothing about them is likelier than it should be.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { webcrypto } from "node:crypto";
import test from "node:test";

globalThis.crypto ??= webcrypto;

const SCRIPT = new URL("../../src/onetime/static/js/part/generate.js", import.meta.url);
const { AMBIGUOUS, LETTERS, MOST_LENGTH, generate } = await import(SCRIPT);

const RECIPES = [true, false].flatMap((symbols) =>
  [true, false].map((excludeAmbiguous) => ({ symbols, excludeAmbiguous })),
);

function setsOf({ symbols, excludeAmbiguous }) {
  const { symbols: marks, ...others } = LETTERS;
  return [...Object.values(others), ...(symbols ? [marks] : [])].map((letters) =>
    [...letters].filter((letter) => !excludeAmbiguous || !AMBIGUOUS.includes(letter)),
  );
}

/** How far what was seen is from what was expected: about `expected.length - 1` when it is by chance alone. */
function chiSquare(seen, expected) {
  return expected.reduce((sum, each, at) => sum + (seen[at] - each) ** 2 / each, 0);
}

/** Six standard deviations above the mean, and somewhat more for few: reached by chance once in some millions of runs. */
function bound(kinds) {
  const freedom = kinds - 1;
  return freedom + 6 * Math.sqrt(2 * freedom) + 20;
}

/** How many of the 256 bytes lead to each capital letter, when they are drawn first; one that is drawn again leads to none. */
function bytesOfLetters(context, make) {
  const found = new Map([...LETTERS.uppercase].map((letter) => [letter, 0]));
  for (let first = 0; first < 256; first += 1) {
    const drawn = context.mock.method(globalThis.crypto, "getRandomValues", (bytes) => {
      bytes[0] = drawn.mock.callCount() === 0 ? first : 0;
      return bytes;
    });
    const password = make({ length: 4, symbols: true, excludeAmbiguous: false });
    const [letter] = [...password].filter((each) => found.has(each));
    // Four letters, four places.
    if (drawn.mock.callCount() === 8) found.set(letter, found.get(letter) + 1);
    drawn.mock.restore();
  }
  return [...found.values()];
}

/** What is likelier than it should be, in words; nothing when all is well. */
function biases(context, make, recipe) {
  const sets = setsOf(recipe);
  const everything = sets.flat();
  const found = [];

  if (new Set(bytesOfLetters(context, make)).size > 1) found.push("bytes");

  const [length, passwords] = [MOST_LENGTH, 200];
  const letters = Array.from({ length: passwords }, () => make({ ...recipe, length })).join("");
  const expected = sets.flatMap((set) =>
    set.map(() => passwords * (1 / set.length + (length - sets.length) / everything.length)),
  );
  const seen = everything.map((letter) => letters.split(letter).length - 1);
  if (chiSquare(seen, expected) > bound(expected.length)) found.push("letters");

  // In a short one, whose every place has its own chance to show in which order the sets were picked.
  const short = Array.from({ length: 4000 }, () => make({ ...recipe, length: 6 }));
  const shares = sets.map((set) => short.length * ((1 + ((6 - sets.length) * set.length) / everything.length) / 6));
  for (let place = 0; place < 6; place += 1) {
    const kinds = sets.map((set) => short.filter((password) => set.includes(password[place])).length);
    if (chiSquare(kinds, shares) > bound(shares.length)) found.push(`place ${place}`);
  }
  return found;
}

test("it has the length, at least one of each set, and nothing else", () => {
  for (const recipe of RECIPES) {
    const sets = setsOf(recipe);
    for (let length = 1; length <= MOST_LENGTH; length += 1) {
      const password = generate({ ...recipe, length });
      assert.equal(password.length, Math.max(length, sets.length));
      assert(sets.every((set) => set.some((letter) => password.includes(letter))), password);
      assert([...password].every((letter) => sets.flat().includes(letter)), password);
    }
  }
});

test("every character that may be there comes up", () => {
  for (const recipe of RECIPES) {
    const seen = new Set();
    for (let round = 0; round < 100; round += 1) {
      for (const letter of generate({ ...recipe, length: MOST_LENGTH })) seen.add(letter);
    }
    assert.deepEqual([...seen].sort(), setsOf(recipe).flat().sort());
  }
});

test("a length that is none is refused", () => {
  for (const length of [0, -1, 129, 1e9, 1.5, NaN, Infinity, "16", undefined, null]) {
    assert.throws(() => generate({ length, symbols: true, excludeAmbiguous: true }), RangeError, String(length));
  }
});

test("no two are the same", () => {
  const made = Array.from({ length: 2000 }, () => generate({ length: 16, symbols: false, excludeAmbiguous: true }));
  assert.equal(new Set(made).size, made.length);
});

test("chance comes from the system's source alone", (context) => {
  const drawn = context.mock.method(globalThis.crypto, "getRandomValues");
  const dice = context.mock.method(Math, "random");
  generate({ length: 16, symbols: true, excludeAmbiguous: true });
  // One for each character, one for each place.
  assert(drawn.mock.callCount() >= 32);
  assert.equal(dice.mock.callCount(), 0);
});

test("no letter and no order is likelier than another", (context) => {
  assert.deepEqual(bytesOfLetters(context, generate), Array(26).fill(Math.floor(256 / 26)));
  for (const recipe of RECIPES) assert.deepEqual(biases(context, generate, recipe), [], JSON.stringify(recipe));
});

// One line each, made wrong.
const TWINS = [
  ["if (byte < 256 - (256 % count)) return", "return", "letters"],
  ["256 - (256 % count)", "255 - (256 % count)", "bytes"],
  ["256 - (256 % count)", "257 - (256 % count)", "bytes"],
  ["below(rest.length)", "0", "place 0"],
  ["below(rest.length)", "below(Math.min(3, rest.length))", "place 5"],
  ["sets.flat()", "[...sets.flat(), ...AMBIGUOUS]", "letters"],
];

test("a wrong line of it is found out", async (context) => {
  const source = readFileSync(SCRIPT, "utf-8");
  for (const [right, wrong, bias] of TWINS) {
    assert.equal(source.split(right).length, 2, right);
    const twin = source.replace(right, () => wrong);
    const { generate: spoiled } = await import(`data:text/javascript,${encodeURIComponent(twin)}`);
    const found = biases(context, spoiled, { symbols: true, excludeAmbiguous: false });
    assert(found.includes(bias), `${wrong}: ${found}`);
  }
});
