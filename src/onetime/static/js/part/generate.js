/**
 * How a new password is made up in the page: by the rules and from the characters of core/generate.py. At least one of each
 * set, then any of all, then shuffled; everything from the browser's CSPRNG.
 */

export const LETTERS = {
  uppercase: "ABCDEFGHIJKLMNOPQRSTUVWXYZ",
  lowercase: "abcdefghijklmnopqrstuvwxyz",
  numbers: "0123456789",
  symbols: "!@#$%^&*()_-+=[]{}|:;\"'<>,.?/~`",
};
export const AMBIGUOUS = "ilo1IO0";
export const MOST_LENGTH = 128;

/**
 * A length below the number of sets is raised to it.
 *
 * @param {{ length: number, symbols: boolean, excludeAmbiguous: boolean }} recipe
 * @throws {RangeError} a length that is not a whole number from 1 to 128
 */
export function generate({ length, symbols, excludeAmbiguous }) {
  if (!Number.isInteger(length) || length < 1 || length > MOST_LENGTH) {
    throw new RangeError(`a length is from 1 to ${MOST_LENGTH}`);
  }
  const { uppercase, lowercase, numbers } = LETTERS;
  const sets = [uppercase, lowercase, numbers, ...(symbols ? [LETTERS.symbols] : [])].map((letters) =>
    [...letters].filter((letter) => !(excludeAmbiguous && AMBIGUOUS.includes(letter))),
  );
  const everything = sets.flat();
  const picked = sets.map(pick);
  while (picked.length < length) picked.push(pick(everything));
  return shuffled(picked).join("");
}

/** @param {readonly string[]} letters */
function pick(letters) {
  return letters[below(letters.length)] ?? "";
}

/**
 * Every order is as likely as any other.
 *
 * @param {readonly string[]} letters
 */
function shuffled(letters) {
  const rest = [...letters];
  return letters.flatMap(() => rest.splice(below(rest.length), 1));
}

/**
 * Every number is as likely as any other: a byte from beyond the last whole multiple of `count` is drawn again, because its
 * remainder would make the first numbers likelier.
 *
 * @param {number} count up to 256
 */
function below(count) {
  for (;;) {
    const [byte = 0] = crypto.getRandomValues(new Uint8Array(1));
    if (byte < 256 - (256 % count)) return byte % count;
  }
}
