/**
 * QR codes, made where they are seen: a link whose key the server must not know cannot be drawn by it.
 *
 * A code is a frame that depends on the version (1 to 40: 21 to 177 modules a side) and a stream of bits laid into what the
 * frame leaves free:
 *
 * content   0100 | length (8 bits, from version 10 on 16) | bytes | 0000 | filling: EC 11 EC 11 …
 * stream    content in blocks, check bytes of each; a byte of each block in turn, then a check byte of each in turn
 * mask      one of eight patterns turns modules of the stream over; the one whose code is the easiest to read is taken
 *
 * Text is encoded as UTF-8, which readers find out by themselves. Kinds other than bytes would make links no shorter.
 *
 * Source: ISO/IEC 18004:2015; the numbers in comments are sections of it.
 */

/** @typedef {"L" | "M" | "Q" | "H"} Level how much may be unreadable: 7, 15, 25 or 30 percent */

/** @typedef {{ version: number, mask: number, size: number, isDark: (row: number, column: number) => boolean }} Code */

/** @param {string} text */
const numbers = (text) => text.split(" ").map(Number);

// Table 9, versions 1 to 40: check bytes of a block, and blocks. Table 12: the level's bits in the format.
const LEVELS = {
  L: {
    bits: 1,
    checks: numbers("7 10 15 20 26 18 20 24 30 18 20 24 26 30 22 24 28 30 28 28 28 28 30 30 26 28 30 30 30 30 30 30 30 30 30 30 30 30 30 30"),
    blocks: numbers("1 1 1 1 1 2 2 2 2 4 4 4 4 4 6 6 6 6 7 8 8 9 9 10 12 12 12 13 14 15 16 17 18 19 19 20 21 22 24 25"),
  },
  M: {
    bits: 0,
    checks: numbers("10 16 26 18 24 16 18 22 22 26 30 22 22 24 24 28 28 26 26 26 26 28 28 28 28 28 28 28 28 28 28 28 28 28 28 28 28 28 28 28"),
    blocks: numbers("1 1 1 2 2 4 4 4 5 5 5 8 9 9 10 10 11 13 14 16 17 17 18 20 21 23 25 26 28 29 31 33 35 37 38 40 43 45 47 49"),
  },
  Q: {
    bits: 3,
    checks: numbers("13 22 18 26 18 24 18 22 20 24 28 26 24 20 30 24 28 28 26 30 28 30 30 30 30 28 30 30 30 30 30 30 30 30 30 30 30 30 30 30"),
    blocks: numbers("1 1 2 2 4 4 6 6 8 8 8 10 12 16 12 17 16 18 21 20 23 23 25 27 29 34 34 35 38 40 43 45 48 51 53 56 59 62 65 68"),
  },
  H: {
    bits: 2,
    checks: numbers("17 28 22 16 22 28 26 26 24 28 24 28 22 24 24 30 28 28 26 28 30 24 30 30 30 30 30 30 30 30 30 30 30 30 30 30 30 30 30 30"),
    blocks: numbers("1 1 2 4 4 4 5 6 8 8 11 11 16 16 18 16 19 21 25 25 25 34 30 32 35 37 40 42 45 48 51 54 57 60 63 66 70 74 77 81"),
  },
};

const VERSIONS = 40;

/**
 * 7.8.2: what turns a module over, by its row and column.
 *
 * @type {readonly ((row: number, column: number) => boolean)[]}
 */
const MASKS = [
  (row, column) => (row + column) % 2 === 0,
  (row) => row % 2 === 0,
  (_row, column) => column % 3 === 0,
  (row, column) => (row + column) % 3 === 0,
  (row, column) => (Math.floor(row / 2) + Math.floor(column / 3)) % 2 === 0,
  (row, column) => ((row * column) % 2) + ((row * column) % 3) === 0,
  (row, column) => (((row * column) % 2) + ((row * column) % 3)) % 2 === 0,
  (row, column) => (((row + column) % 2) + ((row * column) % 3)) % 2 === 0,
];

// 6.3.8: light modules all around.
const BORDER = 4;
const DARK = "#07221c";
const LIGHT = "#fff";
const SVG = "http://www.w3.org/2000/svg";

/**
 * The smallest code that holds it. A version and a mask may be asked for; else the best is taken.
 *
 * @param {string | Uint8Array} content
 * @param {Level} [level]
 * @param {{ version?: number, mask?: number }} [wish] version: at least
 * @returns {Code}
 * @throws {RangeError} there is no code so large
 */
export function encode(content, level = "M", wish = {}) {
  const bytes = typeof content === "string" ? new TextEncoder().encode(content) : content;
  const version = smallest(bytes.length, level, wish.version ?? 1);
  const stream = interleave(words(bytes, version, level), version, level);
  const masks = [...MASKS.keys()].filter((mask) => mask === (wish.mask ?? mask));
  const codes = masks.map((mask) => lay(stream, version, level, mask));
  const penalties = codes.map(penalty);
  const best = codes[penalties.indexOf(Math.min(...penalties))];
  if (best === undefined) throw new RangeError("there is no such mask");
  return best;
}

/**
 * A picture of the code with its border; a name for those who do not see it is the caller's.
 *
 * @param {string} text
 * @param {Level} [level]
 */
export function draw(text, level) {
  const code = encode(text, level);
  const side = code.size + 2 * BORDER;
  let lines = "";
  for (let row = 0; row < code.size; row += 1) {
    for (let column = 0, length = 0; column < code.size; column += Math.max(1, length)) {
      length = 0;
      while (code.isDark(row, column + length)) length += 1;
      if (length > 0) lines += `M${column + BORDER} ${row + BORDER}h${length}v1h-${length}z`;
    }
  }
  const picture = document.createElementNS(SVG, "svg");
  picture.setAttribute("viewBox", `0 0 ${side} ${side}`);
  picture.setAttribute("shape-rendering", "crispEdges");
  picture.append(shape(LIGHT, `M0 0h${side}v${side}H0z`), shape(DARK, lines));
  return picture;
}

/**
 * @param {string} colour
 * @param {string} lines
 */
function shape(colour, lines) {
  const made = document.createElementNS(SVG, "path");
  made.setAttribute("fill", colour);
  made.setAttribute("d", lines);
  return made;
}

// What fits

/** @param {number} version */
function sizeOf(version) {
  return 17 + 4 * version;
}

/**
 * Annex E: rows, and columns, of the centres of alignment patterns. Evenly apart but for the first, which makes up the rest.
 *
 * @param {number} version
 */
function centres(version) {
  if (version === 1) return [];
  const count = Math.floor(version / 7) + 2;
  const last = sizeOf(version) - 7;
  const step = version === 32 ? 26 : 2 * Math.ceil((last - 6) / (count - 1) / 2);
  return [6, ...Array.from({ length: count - 1 }, (_, at) => last - step * (count - 2 - at))];
}

/**
 * Bytes that the frame leaves room for; some bits more may be left over.
 *
 * @param {number} version
 */
function room(version) {
  const size = sizeOf(version);
  const finders = 3 * 8 * 8;
  const format = 2 * 15 + 1;
  const timing = 2 * (size - 16);
  const count = centres(version).length;
  // Three would lie in the corners; those in line with the timing pattern share five modules with it.
  const alignment = count === 0 ? 0 : 25 * (count * count - 3) - 2 * 5 * (count - 2);
  const versions = version < 7 ? 0 : 2 * 18;
  return Math.floor((size * size - finders - format - timing - alignment - versions) / 8);
}

/**
 * @param {number} version
 * @param {Level} level
 */
function blocksOf(version, level) {
  const checks = LEVELS[level].checks[version - 1] ?? 0;
  const blocks = LEVELS[level].blocks[version - 1] ?? 0;
  return { checks, blocks, dataBytes: room(version) - checks * blocks };
}

/**
 * @param {number} length of the content in bytes
 * @param {Level} level
 * @param {number} least
 */
function smallest(length, level, least) {
  for (let version = least; version <= VERSIONS; version += 1) {
    const around = version < 10 ? 2 : 3;
    if (length + around <= blocksOf(version, level).dataBytes) return version;
  }
  throw new RangeError("too long for a code");
}

// From bytes to the stream

/**
 * 7.4: content with what is around it. Kind, length and end are whole half bytes.
 *
 * @param {Uint8Array} bytes
 * @param {number} version
 * @param {Level} level
 */
function words(bytes, version, level) {
  const length = version < 10 ? [bytes.length >> 4] : [12, 8, 4].map((bits) => (bytes.length >> bits) & 15);
  const halves = [4, ...length, bytes.length & 15];
  for (const byte of bytes) halves.push(byte >> 4, byte & 15);
  halves.push(0);
  const whole = [];
  for (let at = 0; at < halves.length; at += 2) whole.push(((halves[at] ?? 0) << 4) | (halves[at + 1] ?? 0));
  const { dataBytes } = blocksOf(version, level);
  for (let filling = 0xec; whole.length < dataBytes; filling ^= 0xec ^ 0x11) whole.push(filling);
  return whole;
}

/**
 * 7.6: blocks, of which the later may be one byte longer, and their checks.
 *
 * @param {readonly number[]} data
 * @param {number} version
 * @param {Level} level
 */
function interleave(data, version, level) {
  const { blocks, checks } = blocksOf(version, level);
  const short = Math.floor(data.length / blocks);
  const firstLong = blocks - (data.length % blocks);
  const parts = [];
  for (let number = 0, at = 0; number < blocks; number += 1) {
    const next = at + short + (number < firstLong ? 0 : 1);
    parts.push(data.slice(at, next));
    at = next;
  }
  return [...inTurn(parts), ...inTurn(parts.map((part) => checkBytes(part, checks)))];
}

/** @param {readonly (readonly number[])[]} parts */
function inTurn(parts) {
  const longest = Math.max(...parts.map((part) => part.length));
  return Array.from({ length: longest }, (_, at) => parts.flatMap((part) => part.slice(at, at + 1))).flat();
}

/**
 * 7.5.2: Reed-Solomon, the rest of a division of polynomials over GF(256).
 *
 * @param {readonly number[]} data
 * @param {number} count
 */
function checkBytes(data, count) {
  const divisor = generator(count);
  /** @type {number[]} */
  let rest = Array.from({ length: count }, () => 0);
  for (const byte of data) {
    const [first = 0, ...others] = rest;
    rest = [...others, 0].map((each, at) => each ^ multiply(divisor[at] ?? 0, first ^ byte));
  }
  return rest;
}

/**
 * (x - 1)(x - 2)(x - 4)…, without the leading 1.
 *
 * @param {number} degree
 */
function generator(degree) {
  let product = [1];
  for (let power = 0, root = 1; power < degree; power += 1, root = multiply(root, 2)) {
    const before = product;
    product = [...before, 0].map((each, at) => each ^ multiply(before[at - 1] ?? 0, root));
  }
  return product.slice(1);
}

/**
 * In GF(256) modulo x^8 + x^4 + x^3 + x^2 + 1.
 *
 * @param {number} left
 * @param {number} right
 */
function multiply(left, right) {
  let product = 0;
  for (let shifted = left, rest = right; rest > 0; rest >>= 1) {
    if (rest & 1) product ^= shifted;
    shifted = (shifted << 1) ^ (shifted & 0x80 ? 0x11d : 0);
  }
  return product;
}

/**
 * Annexes C and D: the value, and the rest of its division as bits after it.
 *
 * @param {number} value
 * @param {number} divisor
 */
function withChecks(value, divisor) {
  const bits = 31 - Math.clz32(divisor);
  let rest = value << bits;
  while (rest >> bits) rest ^= divisor << (Math.clz32(divisor) - Math.clz32(rest));
  return (value << bits) | rest;
}

// From the stream to modules

/**
 * @param {readonly number[]} stream
 * @param {number} version
 * @param {Level} level
 * @param {number} mask
 * @returns {Code}
 */
function lay(stream, version, level, mask) {
  const size = sizeOf(version);
  /** @type {boolean[]} */
  const dark = Array(size * size);
  frame(version, level, mask, (row, column, isDark) => {
    dark[row * size + column] = isDark;
  });
  let bit = 0;
  for (const [row, column] of path(size)) {
    const place = row * size + column;
    if (dark[place] !== undefined) continue;
    // 7.6: what is left over are zeros.
    const isOne = (((stream[bit >> 3] ?? 0) >> (7 - (bit & 7))) & 1) === 1;
    dark[place] = isOne !== MASKS[mask]?.(row, column);
    bit += 1;
  }
  const isInside = (/** @type {number} */ at) => at >= 0 && at < size;
  return {
    version,
    mask,
    size,
    isDark: (row, column) => isInside(row) && isInside(column) && dark[row * size + column] === true,
  };
}

/**
 * Everything that is no stream.
 *
 * @param {number} version
 * @param {Level} level
 * @param {number} mask
 * @param {(row: number, column: number, isDark: boolean) => void} set
 */
function frame(version, level, mask, set) {
  const size = sizeOf(version);
  // 6.3.5, timing; the others are laid over it.
  for (let at = 0; at < size; at += 1) {
    set(6, at, at % 2 === 0);
    set(at, 6, at % 2 === 0);
  }
  // 6.3.6, alignment: not in the three corners.
  const middles = centres(version);
  const isCorner = (/** @type {number} */ row, /** @type {number} */ column) =>
    Math.max(row, column) < 8 || (Math.min(row, column) < 8 && Math.max(row, column) === size - 7);
  for (const row of middles) {
    for (const column of middles) {
      if (!isCorner(row, column)) rings(row, column, 2, size, set);
    }
  }
  // 6.3.3 and 6.3.4, finders with a light ring.
  for (const [row, column] of /** @type {const} */ ([[3, 3], [3, size - 4], [size - 4, 3]])) {
    rings(row, column, 4, size, set);
  }
  // 7.9, twice.
  const format = withChecks((LEVELS[level].bits << 3) | mask, 0b10100110111) ^ 0b101010000010010;
  for (let bit = 0; bit < 15; bit += 1) {
    const isDark = ((format >> bit) & 1) === 1;
    // Round the corner on the upper left, past the timing; and along the two others.
    const near = (/** @type {number} */ at) => (at < 6 ? at : at + 1);
    if (bit < 8) set(near(bit), 8, isDark);
    else set(8, near(14 - bit), isDark);
    if (bit < 8) set(8, size - 1 - bit, isDark);
    else set(size - 15 + bit, 8, isDark);
  }
  set(size - 8, 8, true);
  // 7.10, twice.
  const versions = withChecks(version, 0b1111100100101);
  for (let bit = 0; version >= 7 && bit < 18; bit += 1) {
    const isDark = ((versions >> bit) & 1) === 1;
    const [long, short] = [Math.floor(bit / 3), size - 11 + (bit % 3)];
    set(long, short, isDark);
    set(short, long, isDark);
  }
}

/**
 * A dark module in rings of light and dark in turn; in a finder the first ring is dark as well.
 *
 * @param {number} row of the middle
 * @param {number} column
 * @param {2 | 4} radius 2: alignment, 4: finder; cut off at the edge
 * @param {number} size
 * @param {(row: number, column: number, isDark: boolean) => void} set
 */
function rings(row, column, radius, size, set) {
  for (let down = -radius; down <= radius; down += 1) {
    for (let right = -radius; right <= radius; right += 1) {
      const ring = Math.max(Math.abs(down), Math.abs(right));
      const [y, x] = [row + down, column + right];
      const isDark = radius === 2 ? ring !== 1 : ring !== 2 && ring !== 4;
      if (Math.min(y, x) >= 0 && Math.max(y, x) < size) set(y, x, isDark);
    }
  }
}

/**
 * 7.7.3: two columns at a time from the right, upwards and downwards in turn, past the column of the timing pattern.
 *
 * @param {number} size
 * @returns {Iterable<[row: number, column: number]>}
 */
function* path(size) {
  let isUpwards = true;
  for (let right = size - 1; right > 0; right -= right === 8 ? 3 : 2) {
    for (let step = 0; step < size; step += 1) {
      const row = isUpwards ? size - 1 - step : step;
      yield [row, right];
      yield [row, right - 1];
    }
    isUpwards = !isUpwards;
  }
}

/**
 * 7.8.3: what makes a code hard to read. Looked at is all that will be seen, and beyond the edge it is light.
 *
 * @param {Code} code
 */
function penalty({ size, isDark }) {
  const all = [...Array(size).keys()];
  const rows = all.map((row) => all.map((column) => (isDark(row, column) ? "1" : "0")).join(""));
  const columns = all.map((column) => rows.map((row) => row[column]).join(""));
  let points = 0;
  for (const line of [...rows, ...columns]) {
    for (const run of line.match(/0{5,}|1{5,}/g) ?? []) points += run.length - 2;
    // What could be taken for a finder.
    points += 40 * (`0000${line}0000`.match(/00001011101|1011101(?=0000)/g) ?? []).length;
  }
  for (const [at, row] of rows.slice(1).entries()) {
    for (let column = 1; column < size; column += 1) {
      const square = rows[at]?.slice(column - 1, column + 1) + row.slice(column - 1, column + 1);
      if (square === "0000" || square === "1111") points += 3;
    }
  }
  const percent = (100 * rows.join("").replaceAll("0", "").length) / (size * size);
  return points + 10 * Math.floor(Math.abs(percent - 50) / 5);
}
