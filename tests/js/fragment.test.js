// What becomes of a link on its way, and what of it is repaired.
//
// TEST_ROUNDS=full gives ten times the random cases.

import assert from "node:assert/strict";
import test from "node:test";

import {
  formatLinkKey,
  formatReceiptLink,
  parseLinkKey,
  parseReceiptLink,
} from "../../src/onetime/static/js/crypto/envelope.js";
import { repair } from "../../src/onetime/static/js/part/fragment.js";
import { seeded } from "./vectors.js";

const ROUNDS = process.env.TEST_ROUNDS === "full" ? 2000 : 200;
const KEY = "ax8KnEPS6HdVqgH-mzx9JA6PYbLJ1FN6GO8gtpNNxfs";
const LINK = `https://secrets.example/secret#${KEY}`;
const [START, END] = [KEY.slice(0, 21), KEY.slice(21)];

const linkKey = (text) => repair(text, 43, parseLinkKey);
const is = (rule) => (error) => error.name === "Invalid" && error.rule === rule;

const REPAIRED = {
  "as it was": `#${KEY}`,
  "a whole link": LINK,
  "the key alone": KEY,
  "a full stop": `#${KEY}.`,
  "a comma and a quote": `#${KEY}",`,
  "a bracket": `#${KEY})`,
  "a bracket and a full stop": `#${KEY}).`,
  "angle brackets": `<${LINK}>`,
  "an encoded angle bracket": `#${KEY}%3E`,
  "square brackets and a title": `[the secret](${LINK})`,
  "Slack": `<${LINK}|secrets.example>`,
  "typographic quotes": `«${LINK}»`,
  "quotes, encoded": `#%22${KEY}%22`,
  "a backtick": `\`${LINK}\``,
  "stars": `**${LINK}**`,
  "underlines around": `_${LINK}_`,
  "underlines around the key": `#_${KEY}_`,
  "a dash after it": `#${KEY}-`,
  "padding": `#${KEY}=`,
  "percent-encoded": `#${[...KEY].map((letter) => `%${letter.charCodeAt(0).toString(16)}`).join("")}`,
  "percent-encoded, twice": LINK.replace("-", "%252D"),
  "a hash that was encoded": LINK.replace("#", "%23"),
  "two hashes": LINK.replace("#", "##"),
  "the link in its own fragment": `#/secret#${KEY}`,
  "a fragment behind it": `${LINK}#top`,
  "the key twice": `#${KEY}#${KEY}`,
  "who counts clicks": `${LINK}?utm_source=mail&fbclid=IwAR0`,
  "who counts clicks, with an ampersand": `${LINK}&source=gmail`,
  "a soft hyphen": `#${START}\u00ad${END}`,
  "a space of no width": `#${START}\u200b${END}\u200b`,
  "a mark of direction": `\u2066${LINK}\u2069`,
  "a byte order mark": `\ufeff${LINK}`,
  "a blank": `#${START} ${END}`,
  "an encoded blank": `#${START}%20${END}`,
  "a hard blank": `#${START}\u00a0${END}`,
  "a line break": `https://secrets.example/secret#${START}\n${END}`,
  "a line break of Windows": `${LINK.slice(0, -22)}\r\n${END}\r\n`,
  "a line break after the hash": `https://secrets.example/secret#\n${KEY}`,
  "quoted-printable": `${LINK.slice(0, -22)}=\n${END}`,
  "quoted in an answer": `> https://secrets.example/secret#${START}\n> ${END}\n> Bye`,
  "three lines": `#${KEY.slice(0, 10)}\n${KEY.slice(10, 33)}\n${KEY.slice(33)}`,
  "in a message": `Hello,\n\nhere it is: ${LINK}. It opens once (I hope).\n\n2. Bye\n-- \nA.`,
  "blanks around": `  ${LINK}\t\n`,
};

for (const [what, text] of Object.entries(REPAIRED)) {
  test(`repaired: ${what}`, () => assert.equal(linkKey(text), KEY));
}

const CUT = {
  "nothing": "",
  "a hash": "#",
  "no fragment": "https://secrets.example/secret",
  "41 characters": `#${KEY.slice(0, 41)}`,
  "42 characters": `#${KEY.slice(0, 42)}`,
  "the first missing": `#${KEY.slice(1)}`,
  "44 characters": `#${KEY}A`,
  "44 characters, an underline among them": `#${START}_${END}`,
  "46 characters, of underlines": `#${KEY}___`,
  "spare bits": `#${KEY.slice(0, 42)}t`,
  "dots for what is missing": `#${KEY.slice(0, 30)}…`,
  "half of it and then words": `https://secrets.example/secret#${START} is what you asked for`,
  "another alphabet": `#${KEY.replace("-", "+")}`,
  "Cyrillic among it": `#${KEY.replace("a", "а")}`,
  "a receipt": `#${KEY}${KEY}`,
  "two keys": `${LINK} ${LINK.replace("#a", "#b")}`,
  "a link of a sealed secret": "https://secrets.example/secret/0123456789abcdefghijklmnopqrstu",
};

for (const [what, text] of Object.entries(CUT)) {
  test(`not guessed: ${what}`, () => assert.throws(() => linkKey(text), is("malformed")));
}

const NEWER = {
  "version two": `#2.${KEY}`,
  "a much later one": `#999.${KEY}`,
  "a whole link": `https://secrets.example/secret#2.${KEY}.`,
  "in brackets": `<https://secrets.example/secret#3.x>`,
  "encoded": `#2%2e${KEY}`,
};

for (const [what, text] of Object.entries(NEWER)) {
  test(`newer: ${what}`, () => assert.throws(() => linkKey(text), is("newer")));
}

test("a receipt's key is repaired as well", () => {
  const receipt = formatReceiptLink({
    secretId: new Uint8Array(32).fill(7),
    receiptKey: new Uint8Array(32).fill(250),
  });
  assert.equal(repair(`<https://a.example/receipt#${receipt}>.`, 86, parseReceiptLink), receipt);
  assert.throws(() => repair(`#${receipt.slice(1)}`, 86, parseReceiptLink), is("malformed"));
});

test("any key, however it is wrapped, is itself or refused", () => {
  const next = seeded(20_261_125);
  const before = ["", "(", "<", '"', "'", "_", "-", "*", "%3C", "\u00ad", " ", "\n", "#"];
  const after = ["", ".", ")", ">", '"', "'", "_", "-", "*", "%3E", "\u00ad", " ", "\n", "#", "|x"];
  const any = (list) => list[next() % list.length];
  for (let round = 0; round < ROUNDS; round += 1) {
    const key = formatLinkKey(Uint8Array.from({ length: 32 }, () => next() % 256));
    const text = `${any(before)}https://a.example/secret#${any(before)}${key}${any(after)}${any(after)}`;
    try {
      assert.equal(linkKey(text), key, text);
    } catch (error) {
      // Keys that begin or end with what may be a wrapper can be read in two ways.
      assert.ok(is("malformed")(error), text);
      assert.match(text, /[_-]{2}|#[_-]|[_-]$/, text);
    }
  }
});

test("whatever is followed or pasted, the answer is a key or the one error", () => {
  const next = seeded(7);
  const letters = "aZ0_-#.%2<>= \n\u00ad\ud800é" + KEY;
  for (let round = 0; round < ROUNDS; round += 1) {
    const text = Array.from({ length: next() % 120 }, () => letters[next() % letters.length]).join("");
    try {
      parseLinkKey(linkKey(text));
    } catch (error) {
      assert.equal(error.name, "Invalid", text);
    }
  }
});

test("a long text is read in no time", () => {
  const begun = performance.now();
  for (const piece of ["%25", "#2 ", "a", "= ", `#${START} `]) {
    assert.throws(() => linkKey(piece.repeat(200_000)), is("malformed"));
  }
  assert.ok(performance.now() - begun < 2000);
});
