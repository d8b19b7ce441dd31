// npm's http_ece opens what we seal and seals what we open: the same records, written by somebody else.

import assert from "node:assert/strict";
import test from "node:test";

import ece from "http_ece";

import * as envelope from "../../src/onetime/static/js/crypto/envelope.js";
import { concat } from "./envelope_cases.js";
import "./vectors.js";

const KEY = Uint8Array.from({ length: 32 }, (_, at) => 255 - at);
const LENGTHS = [0, 1, 13, 170, 171, 1000, 65519 - 80, 65520 - 80, 65536 - 80, 200_000];
const NAME = "";

/** Its `key` takes 16 bytes; a key found by its (empty) id may have 32. */
function options(salt) {
  return { version: "aes128gcm", rs: 65536, keyid: NAME, keymap: { [NAME]: Buffer.from(KEY) }, salt };
}

function header(length) {
  return { kind: "text", length, createdAt: 1785000000, expiresAt: 1785604800, files: [] };
}

function inside(length) {
  const line = envelope.headerLine(header(length));
  const content = Uint8Array.from({ length }, (_, at) => (at % 13) * 5);
  const padded = new Uint8Array(envelope.paddedSize(line.length + length));
  padded.set(concat([line, content]));
  return { content, padded };
}

for (const length of LENGTHS) {
  test(`http_ece opens a body of ${length}`, async () => {
    const { content, padded } = inside(length);
    const body = await envelope.seal(KEY, header(length), content);
    assert.deepEqual(new Uint8Array(ece.decrypt(Buffer.from(body), options())), padded);
  });

  test(`what http_ece seals of ${length} opens, and is the same to the byte`, async () => {
    const { content, padded } = inside(length);
    const salt = new Uint8Array(16).fill(length % 256);
    const body = new Uint8Array(ece.encrypt(Buffer.from(padded), options(Buffer.from(salt))));
    assert.deepEqual(await envelope.open(KEY, body), { header: header(length), content });
    assert.deepEqual(await envelope.seal(KEY, header(length), content, { salt }), body);
  });
}

test("its own padding of records, which we do not write, is refused", async () => {
  const { padded } = inside(13);
  const body = ece.encrypt(Buffer.from(padded), { ...options(), pad: 10 });
  await assert.rejects(envelope.open(KEY, new Uint8Array(body)), envelope.Undecryptable);
});
