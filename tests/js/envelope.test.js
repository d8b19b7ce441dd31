// The end-to-end envelope in JavaScript: what the vectors say, and what must hold for any content, key and damage.
//
// TEST_ROUNDS=full gives ten times the random cases.

import assert from "node:assert/strict";
import test from "node:test";

import * as envelope from "../../src/onetime/static/js/crypto/envelope.js";
import { Asked, concat } from "./envelope_cases.js";
import { NAMES, read, seeded } from "./vectors.js";

const ROUNDS = process.env.TEST_ROUNDS === "full" ? 1000 : 100;
const KEY = Uint8Array.from({ length: 32 }, (_, at) => at);
const asked = new Asked(envelope, read);

function header(length) {
  return { kind: "text", length, createdAt: 1785000000, expiresAt: 1785604800, files: [] };
}

function filled(length) {
  return Uint8Array.from({ length }, (_, at) => (at % 17) * 7);
}

function* inPieces(whole, size) {
  for (let at = 0; at < whole.length; at += size) yield whole.slice(at, at + size);
}

/** Asks with numbers that are the same on every run. */
async function forAll(seed, ask) {
  const next = seeded(seed);
  const below = (limit) => next() % limit;
  for (let round = 0; round < ROUNDS; round += 1) await ask(below, round);
}

for (const name of NAMES) {
  test(`vector ${name}`, async () => {
    assert.deepEqual(await asked.faults(name), []);
  });
}

test("keys and claims are new each time", () => {
  for (const [make, size] of [
    [envelope.newLinkKey, 32],
    [envelope.newReceiptKey, 32],
    [envelope.newClaim, 16],
  ]) {
    const made = Array.from({ length: 1000 }, make);
    assert.equal(new Set(made.map(envelope.toBase64Url)).size, 1000);
    assert(made.every((each) => each.length === size));
  }
});

test("a link key has one spelling", async () => {
  const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
  await forAll(1, () => {
    const key = envelope.newLinkKey();
    const text = envelope.formatLinkKey(key);
    assert.deepEqual(envelope.parseLinkKey(text), key);
    let same = 0;
    for (const last of alphabet) {
      try {
        envelope.parseLinkKey(text.slice(0, -1) + last);
        same += 1;
      } catch (error) {
        assert(error instanceof envelope.Invalid);
      }
    }
    assert.equal(same, 16);
  });
});

test("whatever is no link key is refused by one error", async () => {
  const letters = [..."AZaz09-_+/=.%2 \n\0а\ud800😀"];
  await forAll(2, (below) => {
    const length = below(2) ? 43 : below(90);
    const text = Array.from({ length }, () => letters[below(letters.length)]).join("");
    try {
      assert.equal(envelope.formatLinkKey(envelope.parseLinkKey(text)), text);
    } catch (error) {
      assert(error instanceof envelope.Invalid, String(error));
    }
  });
});

test("what is sealed opens however it arrives", async () => {
  await forAll(3, async (below) => {
    const length = [below(2000), 65519 - 120 + below(125), 131_000 + below(1000)][below(3)];
    const content = filled(length);
    const body = await envelope.seal(KEY, header(length), content);
    assert.equal(body.length, envelope.bodySize(header(length)));
    assert.deepEqual(await envelope.open(KEY, body), { header: header(length), content });

    const opener = new envelope.Opener(KEY);
    const got = [];
    const step = 1 + Math.max(below(70_000), Math.floor(body.length / 300));
    for (const piece of inPieces(body, step)) got.push(await opener.add(piece));
    got.push(await opener.end());
    assert.deepEqual(concat(got), content);
  });
});

test("sealing in pieces gives the same, from a list and from a stream", async () => {
  const salt = new Uint8Array(16);
  await forAll(4, async (below) => {
    const length = [below(2000), 65519 - 120 + below(125), 131_000 + below(1000)][below(3)];
    const content = filled(length);
    const step = 1 + Math.max(below(70_000), Math.floor(length / 300));
    async function* stream() {
      yield* inPieces(content, step);
    }
    const whole = await envelope.seal(KEY, header(length), content, { salt });
    for (const source of [[...inPieces(content, step)], stream()]) {
      const parts = [];
      for await (const part of envelope.sealStream(KEY, header(length), source, { salt })) {
        assert(part.length <= 65536);
        parts.push(part);
      }
      assert.deepEqual(concat(parts), whole);
    }
  });
});

test("padding adds little and keeps the order", async () => {
  await forAll(5, (below) => {
    const size = Math.floor((below(2 ** 32) / 2 ** 32) * 2 ** below(49));
    const padded = envelope.paddedSize(size);
    assert(padded >= Math.max(256, size) && padded <= Math.max(256, size) * 1.0625);
    assert.equal(envelope.paddedSize(padded), padded);
    assert(envelope.paddedSize(size + 1) >= padded);
  });
});

test("content of another length than was said is not sealed", async () => {
  for (const length of [0, 1, 3, 200_000]) {
    await assert.rejects(envelope.seal(KEY, header(2), filled(length)), envelope.Invalid);
  }
  async function* forever() {
    for (;;) yield new Uint8Array(1000);
  }
  await assert.rejects(async () => {
    for await (const part of envelope.sealStream(KEY, header(10_000), forever())) assert(part);
  }, envelope.Invalid);
});

test("a wrong header is refused before anything is sealed", () => {
  for (const length of [-1, 0.5, NaN, Infinity, 2 ** 48 + 1]) {
    assert.throws(() => envelope.sealStream(KEY, header(length), []), envelope.Invalid);
  }
});

test("a bit of every byte of a body matters", async () => {
  const body = await envelope.seal(KEY, header(13), filled(13));
  for (let at = 0; at < body.length; at += 1) {
    const flipped = body.slice();
    flipped[at] ^= 1 << (at & 7);
    await assert.rejects(envelope.open(KEY, flipped), envelope.Undecryptable);
  }
});

test("a body that is cut anywhere does not open", async () => {
  const body = await envelope.seal(KEY, header(13), filled(13));
  for (let length = 0; length < body.length; length += 1) {
    await assert.rejects(envelope.open(KEY, body.slice(0, length)), envelope.Undecryptable);
  }
});

test("after an error nothing more comes out", async () => {
  const body = await envelope.seal(KEY, header(200_000), filled(200_000));
  const damaged = body.slice();
  damaged[21 + 65536] ^= 1;
  const opener = new envelope.Opener(KEY);
  await assert.rejects(opener.add(damaged), envelope.Undecryptable);
  await assert.rejects(opener.add(body.slice(21 + 65536)), envelope.Undecryptable);
  await assert.rejects(opener.end(), envelope.Undecryptable);
});

test("two calls at once are refused, and nothing after them comes out", async () => {
  const body = await envelope.seal(KEY, header(200_000), filled(200_000));
  const opener = new envelope.Opener(KEY);
  const first = opener.add(body.slice(0, 100_000));
  await assert.rejects(opener.add(body.slice(100_000)), envelope.Undecryptable);
  assert((await first).length < 100_000);
  await assert.rejects(opener.end(), envelope.Undecryptable);
});

function edited(body, below) {
  let changed = body;
  for (let count = 1 + below(4); count > 0; count -= 1) {
    const at = below(changed.length + 1);
    const [before, part] = [changed.slice(0, at), changed.slice(at, at + 1 + below(70_000))];
    const after = changed.slice(at + part.length);
    const fresh = Uint8Array.from({ length: 1 + below(40) }, () => below(256));
    const rest = concat([part, after]);
    changed = concat(
      [
        [before],
        [before, after],
        [before, part, part, after],
        [before, fresh, rest],
        [before, fresh, rest.slice(fresh.length)],
      ][below(5)],
    );
  }
  return changed;
}

for (const length of [13, 140_000]) {
  test(`a damaged body of ${length} releases only what is genuine`, async () => {
    const content = filled(length);
    const body = await envelope.seal(KEY, header(length), content);
    await forAll(6 + length, async (below) => {
      const damaged = edited(body, below);
      const opener = new envelope.Opener(KEY);
      const got = [];
      let ended = false;
      try {
        for (const piece of inPieces(damaged, 500 + below(70_000))) {
          got.push(await opener.add(piece));
        }
        got.push(await opener.end());
        ended = true;
      } catch (error) {
        assert(error instanceof envelope.Undecryptable, String(error));
      }
      const released = concat(got);
      assert.deepEqual(released, content.slice(0, released.length));
      if (ended) assert.deepEqual(damaged, body);
    });
  });
}

test("noise is refused", async () => {
  await forAll(7, async (below) => {
    const noise = Uint8Array.from({ length: below(600) }, () => below(256));
    const head = concat([new Uint8Array(16), Uint8Array.of(0, 1, 0, 0, 0), noise]);
    for (const body of [noise, head]) {
      await assert.rejects(envelope.open(KEY, body), envelope.Undecryptable);
    }
  });
});

function anyJson(below, depth = 0) {
  const kinds = [
    () => null,
    () => below(2) === 1,
    () => below(2 ** 31) - 2 ** 30,
    () => below(1000) / 7,
    () => ["text", "file", "", "\ud800", "a\u202eb", "\0", '"', "їжак"][below(8)],
    () => Array.from({ length: below(3) }, () => anyJson(below, depth + 1)),
    () => ({ [["name", "size", "__proto__"][below(3)]]: anyJson(below, depth + 1) }),
  ];
  return kinds[below(depth < 3 ? 7 : 5)]();
}

test("whatever the header says, it is one or the error", async () => {
  let right = 0;
  await forAll(8, async (below) => {
    for (let count = 0; count < 20; count += 1) {
      const members = { version: 1, kind: "text", length: below(50), created: 1, expires: 2 };
      const names = [...Object.keys(members), "files", "__proto__", "more"];
      for (let changes = below(3); changes > 0; changes -= 1) {
        members[names[below(names.length)]] = anyJson(below);
      }
      const line = new TextEncoder().encode(`${JSON.stringify(members)}\n`);
      try {
        assert.deepEqual(envelope.headerLine(envelope.parseHeader(line)), line);
        right += 1;
      } catch (error) {
        assert(error instanceof envelope.Undecryptable, String(error));
      }
    }
  });
  assert(right > 100);
});

test("a header of any bytes is one or the error", async () => {
  await forAll(9, (below) => {
    const line = Uint8Array.from({ length: below(300) }, () => below(256));
    assert.throws(() => envelope.parseHeader(line), envelope.Undecryptable);
  });
});
