/**
 * What mail, chat programs and fingers do to the key in a link, undone where there is only one thing it can have been.
 *
 * What stands around the key falls away: brackets, quotes, full stops, the rest of a message, a query of whoever counts
 * clicks. Percent-encoding is read; what cannot be seen and what breaks a line is taken out. A character that is missing or
 * one too many is not guessed.
 */

// As often as it may have been encoded on its way.
const MOST_ENCODINGS = 3;

const UNSEEN = /\p{Default_Ignorable_Code_Point}/gu;
const ALPHABET = /[A-Za-z0-9_-]+/g;

// A message with a link in it may be long, but nobody's link is behind so much.
const MOST_CHARACTERS = 100_000;

// White space, what mail puts at the beginning of a quoted line, and at the end of one that goes on.
const BREAK = /[\s>=]+/;

// "2." of a later version, and not of a list.
const NUMBERED = /^[0-9]{1,3}\.(?=[A-Za-z0-9_-])/;

/**
 * The key in what somebody followed or pasted: a fragment, a whole link, or a message with one link in it.
 *
 * @param {string} text
 * @param {number} length of the key in characters
 * @param {(key: string) => unknown} parse throws at what is not a key
 * @returns {string} as `parse` takes it
 * @throws what `parse` throws: the key is damaged, there is none or more than one, or it needs a newer program
 */
export function repair(text, length, parse) {
  const plain = decoded(text.slice(0, MOST_CHARACTERS)).replace(UNSEEN, "");
  const tails = afterEachHash(plain);
  for (const tail of tails) {
    if (NUMBERED.test(tail)) parse(tail);
  }
  const isSound = (/** @type {string} */ key) => key.length === length && parses(parse, key);
  const whole = new Set(runs(plain).flatMap((run) => spellings(run, length)).filter(isSound));
  const found = whole.size > 0 ? whole : new Set(tails.map(joinedLines(length)).filter(isSound));
  const [key, another] = found;
  if (key !== undefined && another === undefined) return key;
  parse("");
  throw new TypeError("Nothing is no key");
}

/** @param {string} text */
function decoded(text) {
  let plain = text;
  for (let each = 0; each < MOST_ENCODINGS; each += 1) {
    plain = plain.replace(/(?:%[0-9a-f]{2})+/gi, (run) => {
      try {
        return decodeURIComponent(run);
      } catch {
        return run;
      }
    });
  }
  return plain;
}

/**
 * From the first character that a key may have; all of it, where there is no `#`.
 *
 * @param {string} plain
 */
function afterEachHash(plain) {
  const parts = plain.split("#");
  const tails = parts.length > 1 ? parts.slice(1) : parts;
  return tails.map((tail) => tail.replace(/^[^A-Za-z0-9_-]+/, ""));
}

/** @param {string} plain */
function runs(plain) {
  return plain.match(ALPHABET) ?? [];
}

/**
 * A run as a key. `_` and `-` are of its alphabet, and some programs also put them around what they set apart.
 *
 * @param {string} run
 * @param {number} length
 */
function spellings(run, length) {
  const more = run.length - length;
  if (more < 0 || more > 2) return [];
  const found = [];
  for (let at = 0; at <= more; at += 1) {
    const around = run.slice(0, at) + run.slice(at + length);
    if (/^[_-]*$/.test(around)) found.push(run.slice(at, at + length));
  }
  return found;
}

/**
 * The key at the beginning of a text, over as many lines as it takes.
 *
 * @param {number} length
 */
function joinedLines(length) {
  return (/** @type {string} */ tail) => {
    let key = "";
    for (const part of tail.split(BREAK)) {
      const [run = ""] = /^[A-Za-z0-9_-]*/.exec(part) ?? [];
      key += run;
      if (key.length >= length || run !== part) break;
    }
    return key;
  };
}

/**
 * @param {(key: string) => unknown} parse
 * @param {string} key
 */
function parses(parse, key) {
  try {
    parse(key);
    return true;
  } catch {
    return false;
  }
}
