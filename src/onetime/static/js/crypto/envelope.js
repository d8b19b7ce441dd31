/**
 * The end-to-end envelope, version 1: the sender's device seals, the reader's opens, the server can do neither.
 *
 * K              32 random bytes; 43 characters of base64url in the link's fragment
 * P              nothing, or PBKDF2-HMAC-SHA256(passphrase, HKDF(K, "onetime/1 passphrase salt"), 600000 rounds)
 * link proof     HKDF(K, "onetime/1 link proof")        names the secret: its id is the SHA-256 of it
 * open proof     HKDF(K | P, "onetime/1 open proof")    opens the door: the server keeps the SHA-256 of it
 * content key    HKDF(K | P, "onetime/1 content")       opens the envelope: never leaves a device
 * R              32 random bytes, independent of K
 * receipt proof  HKDF(R, "onetime/1 receipt proof")     tells and burns: the server keeps the SHA-256 of it
 *
 * HKDF is HKDF-SHA256 without salt; each of these is 32 bytes.
 *
 * Body:   RFC 8188 aes128gcm, keyed by the content key: salt (16) | 65536 (4) | 0 (1) | records of 65536 bytes, the last shorter.
 * Record: AES-128-GCM of 65519 bytes, in the last record at least one, and the delimiter: 1, in the last record 2.
 * Inside: header line (JSON, newline) | content | zeros up to Padmé(max(256, what comes before them)).
 *
 * There is one way to write each of these things, and a reader refuses every other: docs/envelope.md has it to the byte, and
 * the reasons. envelope.py and envelope.js are twins: the same functions in the same order, and tests/vectors/envelope for both.
 */

/** @typedef {Uint8Array<ArrayBuffer>} Bytes */

/** @typedef {{ secretId: Bytes, receiptKey: Bytes }} ReceiptLink */

/**
 * 32 bytes each.
 *
 * @typedef {{ linkProof: Bytes, openProof: Bytes, contentKey: Bytes }} Keys
 */

/** @typedef {{ name: string, type: string, size: number }} File */

/**
 * What the envelope says of its content. `kind` is "text" without files or "file" with at least one, whose contents follow
 * one another; `length` is that of the content in bytes. The times are information: nobody refuses by a clock of his own.
 *
 * @typedef {{ kind: string, length: number, createdAt: number, expiresAt: number, files: readonly File[] }} Header
 */

/** @typedef {{ header: Header, content: Bytes }} Opened */

const VERSION = 1;
const KEY_BYTES = 32;
const CLAIM_BYTES = 16;

// OWASP Password Storage Cheat Sheet, PBKDF2-HMAC-SHA256: WebCrypto has no Argon2.
const ROUNDS = 600_000;

// Code points: after NFC, and before it.
const SHORTEST_PASSPHRASE = 4;
const LONGEST_PASSPHRASE = 128;
const LONGEST_SPELLING = 4 * LONGEST_PASSPHRASE;

const SALT_BYTES = 16;
const RECORD_BYTES = 65536;
const TAG_BYTES = 16;
// What a full record carries beside its delimiter and tag.
const DATA_BYTES = RECORD_BYTES - 1 - TAG_BYTES;
// Record size and the length of the key id, which is empty.
const HEAD = [0, 1, 0, 0, 0];
const MORE = 1;
const LAST = 2;

const LEAST_PADDED_BYTES = 256;
const MOST_LINE_BYTES = 4096;
// Far above what anybody sends, and every sum of sizes is exact in a JavaScript number.
const MOST_BYTES = 2 ** 48;
// The last second of the year 9999: every reader can show it.
const MOST_SECONDS = 253_402_300_799;
const MOST_NAME_BYTES = 255;

// A separator, a control character, one that turns or breaks a line, or half of a surrogate pair.
const NO_NAME =
  /[/\\\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]/u;
// RFC 6838, section 4.2, in small letters.
const TYPE = /^[a-z0-9][a-z0-9!#$&^_.+-]{0,126}\/[a-z0-9][a-z0-9!#$&^_.+-]{0,126}$/;
const NEWER = /^(?:[2-9]|[1-9][0-9]{1,2})\./;

const NEWLINE = 10;
const encoder = new TextEncoder();

/** What somebody typed, chose or followed is not right; `field` names it and `rule` is a stable word for what it broke. */
export class Invalid extends Error {
  /**
   * @param {string} field
   * @param {string} message
   * @param {string} rule
   */
  constructor(field, message, rule = "malformed") {
    super(message);
    this.name = "Invalid";
    this.field = field;
    this.rule = rule;
  }
}

/** The one error of opening. */
export class Undecryptable extends Error {
  /** @param {string} message */
  constructor(message) {
    super(message);
    this.name = "Undecryptable";
  }
}

/** @returns {Bytes} */
export function newLinkKey() {
  return crypto.getRandomValues(new Uint8Array(KEY_BYTES));
}

/**
 * 43 characters: the fragment of a link.
 *
 * @param {Bytes} linkKey
 */
export function formatLinkKey(linkKey) {
  return toBase64Url(linkKey);
}

/**
 * @param {string} text
 * @returns {Bytes}
 * @throws {Invalid} no link key ("malformed"), or one of a later version ("newer"): no request may be sent for it
 */
export function parseLinkKey(text) {
  return parseLink(text, KEY_BYTES);
}

/** @returns {Bytes} */
export function newReceiptKey() {
  return crypto.getRandomValues(new Uint8Array(KEY_BYTES));
}

/**
 * 86 characters: the fragment of a receipt's link.
 *
 * @param {ReceiptLink} receipt
 */
export function formatReceiptLink(receipt) {
  return toBase64Url(joined([receipt.secretId, receipt.receiptKey]));
}

/**
 * @param {string} text
 * @returns {ReceiptLink}
 * @throws {Invalid} as `parseLinkKey`
 */
export function parseReceiptLink(text) {
  const raw = parseLink(text, 2 * KEY_BYTES);
  return { secretId: raw.slice(0, KEY_BYTES), receiptKey: raw.slice(KEY_BYTES) };
}

/**
 * 16 bytes that the reader's device makes before its first request, and keeps until it has the secret.
 *
 * @returns {Bytes}
 */
export function newClaim() {
  return crypto.getRandomValues(new Uint8Array(CLAIM_BYTES));
}

/**
 * Without padding: the spelling of keys in links and of proofs, hashes and claims in requests.
 *
 * @param {Bytes} raw
 */
export function toBase64Url(raw) {
  const text = btoa(Array.from(raw, (byte) => String.fromCharCode(byte)).join(""));
  return text.replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
}

/**
 * `size` bytes, from their one spelling: no padding, no other alphabet, spare bits zero.
 *
 * @param {string} text
 * @param {number} size
 * @returns {Bytes}
 * @throws {Invalid} anything else
 */
export function fromBase64Url(text, size) {
  if (text.length === Math.ceil((size * 4) / 3) && /^[A-Za-z0-9_-]*$/.test(text)) {
    const letters = atob(text.replaceAll("-", "+").replaceAll("_", "/"));
    const raw = Uint8Array.from(letters, (letter) => letter.charCodeAt(0));
    if (toBase64Url(raw) === text) return raw;
  }
  throw new Invalid("text", `Not ${size} bytes in base64url`);
}

/**
 * NFC, so that composed and decomposed spellings are one passphrase. Nothing is trimmed or folded.
 *
 * @param {string} passphrase
 * @param {{ isNew?: boolean }} [options]
 * @throws {Invalid} it has unpaired surrogates ("malformed"), or is far too long ("too_long"). One that is being set also must
 *   not be "too_short" or "too_long", nor have code points that this Unicode version does not know ("unassigned").
 */
export function normalPassphrase(passphrase, { isNew = false } = {}) {
  if ([...passphrase].length > LONGEST_SPELLING) {
    throw new Invalid("passphrase", "The passphrase is too long", "too_long");
  }
  if (/\p{Surrogate}/u.test(passphrase)) {
    throw new Invalid("passphrase", "The passphrase is not valid Unicode");
  }
  const text = passphrase.normalize("NFC");
  if (!isNew) return text;
  const length = [...text].length;
  if (length < SHORTEST_PASSPHRASE) {
    throw new Invalid("passphrase", "The passphrase is too short", "too_short");
  }
  if (length > LONGEST_PASSPHRASE) {
    throw new Invalid("passphrase", "The passphrase is too long", "too_long");
  }
  if (/\p{Unassigned}/u.test(text)) {
    throw new Invalid("passphrase", "The passphrase has unknown characters", "unassigned");
  }
  return text;
}

/**
 * What a look takes; the others of `derive` may need a passphrase.
 *
 * @param {Bytes} linkKey
 * @returns {Promise<Bytes>}
 */
export async function linkProof(linkKey) {
  return await hkdf(linkKey, "onetime/1 link proof");
}

/**
 * With a passphrase it takes a good part of a second.
 *
 * @param {Bytes} linkKey
 * @param {string} passphrase
 * @returns {Promise<Keys>}
 * @throws {Invalid} the passphrase is none, as `normalPassphrase`
 */
export async function derive(linkKey, passphrase = "") {
  let both = linkKey;
  if (passphrase) {
    const salt = await hkdf(linkKey, "onetime/1 passphrase salt");
    const spelled = encoder.encode(normalPassphrase(passphrase));
    const key = await crypto.subtle.importKey("raw", spelled, "PBKDF2", false, ["deriveBits"]);
    const how = { name: "PBKDF2", hash: "SHA-256", salt, iterations: ROUNDS };
    const stretched = await crypto.subtle.deriveBits(how, key, 8 * KEY_BYTES);
    both = joined([linkKey, new Uint8Array(stretched)]);
  }
  return {
    linkProof: await linkProof(linkKey),
    openProof: await hkdf(both, "onetime/1 open proof"),
    contentKey: await hkdf(both, "onetime/1 content"),
  };
}

/**
 * @param {Bytes} receiptKey
 * @returns {Promise<Bytes>}
 */
export async function receiptProof(receiptKey) {
  return await hkdf(receiptKey, "onetime/1 receipt proof");
}

/**
 * The server's one name for a secret, from its link proof.
 *
 * @param {Bytes} proof
 * @returns {Promise<Bytes>}
 */
export async function secretId(proof) {
  return new Uint8Array(await crypto.subtle.digest("SHA-256", proof));
}

/**
 * What the server keeps of an open proof or a receipt proof. The proofs are 256 random bits to whoever has no key, so
 * their plain hash gives nothing away.
 *
 * @param {Bytes} proof
 * @returns {Promise<Bytes>}
 */
export async function proofHash(proof) {
  return new Uint8Array(await crypto.subtle.digest("SHA-256", proof));
}

/**
 * JSON with the members in this order and nothing that could be left out, and a newline.
 *
 * @param {Header} header
 * @returns {Bytes}
 * @throws {Invalid} it would be refused by readers; `field` names what
 */
export function headerLine(header) {
  check(header);
  /** @type {Record<string, unknown>} */
  const members = {
    version: VERSION,
    kind: header.kind,
    length: header.length,
    created: header.createdAt,
    expires: header.expiresAt,
  };
  if (header.kind === "file") {
    members["files"] = header.files.map(({ name, type, size }) => ({ name, type, size }));
  }
  const line = encoder.encode(`${JSON.stringify(members)}\n`);
  if (line.length > MOST_LINE_BYTES) {
    throw new Invalid("files", "The names of the files are too long together", "too_long");
  }
  return line;
}

/**
 * @param {Bytes} line
 * @returns {Header}
 * @throws {Undecryptable} it is not, to the byte, what `headerLine` writes
 */
export function parseHeader(line) {
  try {
    const text = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(line);
    const header = read(JSON.parse(text));
    if (areEqual(headerLine(header), line)) return header;
  } catch {
    // As what is not equal.
  }
  throw new Undecryptable("The header of the envelope is not one");
}

/**
 * Padmé of at least 256: at most 6.25 % more, in 16 sizes for each doubling, and from 65536 on in 32.
 *
 * Source: Nikitin and others, Reducing Metadata Leakage from Encrypted Files and Communication with PURBs, 2019, section 4.
 *
 * @param {number} size
 */
export function paddedSize(size) {
  const least = Math.max(LEAST_PADDED_BYTES, size);
  const exponent = least.toString(2).length - 1;
  const step = 2 ** (exponent - exponent.toString(2).length);
  return Math.ceil(least / step) * step;
}

/**
 * The bytes of the sealed body: what the server's limit speaks of.
 *
 * @param {Header} header
 * @throws {Invalid} as `headerLine`
 */
export function bodySize(header) {
  const padded = paddedSize(headerLine(header).length + header.length);
  const records = Math.ceil(padded / DATA_BYTES);
  return SALT_BYTES + HEAD.length + padded + records * (1 + TAG_BYTES);
}

/**
 * The body. `salt` is for test vectors.
 *
 * @param {Bytes} contentKey
 * @param {Header} header
 * @param {Bytes} content
 * @param {{ salt?: Bytes }} [options]
 * @returns {Promise<Bytes>}
 * @throws {Invalid} as `sealStream`
 */
export async function seal(contentKey, header, content, options = {}) {
  const parts = [];
  for await (const part of sealStream(contentKey, header, [content], options)) parts.push(part);
  return joined(parts);
}

/**
 * The body in pieces of at most a record.
 *
 * @param {Bytes} contentKey
 * @param {Header} header
 * @param {Iterable<Bytes> | AsyncIterable<Bytes>} content
 * @param {{ salt?: Bytes }} [options]
 * @returns {AsyncGenerator<Bytes, void, void>}
 * @throws {Invalid} the header, at once; or, on the way, the content is not as long as the header says
 */
export function sealStream(contentKey, header, content, { salt } = {}) {
  const line = headerLine(header);
  const chosen = salt ?? crypto.getRandomValues(new Uint8Array(SALT_BYTES));
  return sealed(contentKey, inside(line, header, content), chosen);
}

/**
 * Opens a body that arrives in pieces of any size.
 *
 *     for await (const piece of pieces) parts.push(await opener.add(piece));
 *     parts.push(await opener.end());
 *
 * What `add` returns is authentic and in its place, but only after `end` is it all there is: until then keep it out of
 * sight. `header` is there as soon as its record is. After an error nothing more comes out. One call at a time.
 */
export class Opener {
  /** @type {Header | undefined} */
  header;
  /** @type {Bytes} */
  #contentKey;
  /** @type {RecordKeys | undefined} */
  #keys;
  #arrived = new Uint8Array(RECORD_BYTES);
  #arrivedBytes = 0;
  #number = 0;
  #hasLast = false;
  #contentLeft = 0;
  #zerosLeft = 0;
  #isSound = true;

  /** @param {Bytes} contentKey */
  constructor(contentKey) {
    this.#contentKey = contentKey;
  }

  /**
   * The content that this completes.
   *
   * @param {Bytes} piece
   * @returns {Promise<Bytes>}
   * @throws {Undecryptable} it is not an envelope for this key
   */
  async add(piece) {
    return await this.#guard(piece, false);
  }

  /**
   * The rest of the content; nothing is missing.
   *
   * @returns {Promise<Bytes>}
   * @throws {Undecryptable} as `add`, or the body was cut short
   */
  async end() {
    return await this.#guard(new Uint8Array(0), true);
  }

  /**
   * @param {Bytes} piece
   * @param {boolean} isEnd
   */
  async #guard(piece, isEnd) {
    if (!this.#isSound) throw new Undecryptable("The envelope was given up");
    this.#isSound = false;
    const content = await this.#advance(piece, isEnd);
    this.#isSound = !isEnd;
    return content;
  }

  /**
   * @param {Bytes} piece
   * @param {boolean} isEnd
   */
  async #advance(piece, isEnd) {
    const content = [];
    let at = 0;
    while (at < piece.length) {
      if (this.#hasLast) throw new Undecryptable("The envelope goes on after its end");
      const wanted = this.#keys ? RECORD_BYTES : SALT_BYTES + HEAD.length;
      const part = piece.subarray(at, at + wanted - this.#arrivedBytes);
      this.#arrived.set(part, this.#arrivedBytes);
      this.#arrivedBytes += part.length;
      at += part.length;
      if (this.#arrivedBytes < wanted) break;
      if (this.#keys) {
        content.push(await this.#open(this.#keys, this.#cut()));
      } else {
        const head = this.#cut();
        if (!areEqual(head.subarray(SALT_BYTES), HEAD)) {
          throw new Undecryptable("The envelope has another record size or a key id");
        }
        this.#keys = await recordKeys(this.#contentKey, head.slice(0, SALT_BYTES));
      }
    }
    if (isEnd) {
      if (this.#keys && this.#arrivedBytes) {
        content.push(await this.#open(this.#keys, this.#cut()));
      }
      // Cut between two records or in one: no record said that it is the last.
      if (!this.#hasLast) throw new Undecryptable("The envelope ends too early");
    }
    return joined(content);
  }

  #cut() {
    const part = this.#arrived.slice(0, this.#arrivedBytes);
    this.#arrivedBytes = 0;
    return part;
  }

  /**
   * @param {RecordKeys} keys
   * @param {Bytes} record
   */
  async #open(keys, record) {
    const data = await openRecord(keys, this.#number, record);
    this.#number += 1;
    const delimiter = data.at(-1);
    this.#hasLast = delimiter === LAST;
    if (delimiter !== MORE && delimiter !== LAST) {
      throw new Undecryptable("The envelope has a record without its delimiter");
    }
    return this.#release(data.subarray(0, -1));
  }

  /**
   * What of a record's data is content; the header line before it and the zeros after it are checked.
   *
   * @param {Bytes} data
   */
  #release(data) {
    let rest = data;
    if (!this.header) {
      const end = data.indexOf(NEWLINE) + 1;
      this.header = parseHeader(data.subarray(0, end));
      const size = end + this.header.length;
      this.#contentLeft = this.header.length;
      this.#zerosLeft = paddedSize(size) - size;
      rest = data.subarray(end);
    }
    const content = rest.subarray(0, this.#contentLeft);
    const zeros = rest.subarray(content.length);
    this.#contentLeft -= content.length;
    this.#zerosLeft -= zeros.length;
    if (!zeros.every((byte) => byte === 0)) {
      throw new Undecryptable("The envelope is padded with something");
    }
    if (this.#hasLast && (this.#contentLeft || this.#zerosLeft)) {
      throw new Undecryptable("The envelope is longer or shorter than it says");
    }
    return content;
  }
}

/**
 * @param {Bytes} contentKey
 * @param {Bytes} body
 * @returns {Promise<Opened>}
 * @throws {Undecryptable} it is not an envelope for this key, or not all of it
 */
export async function open(contentKey, body) {
  const opener = new Opener(contentKey);
  const content = joined([await opener.add(body), await opener.end()]);
  return { header: /** @type {Header} */ (opener.header), content };
}

/** @typedef {{ key: CryptoKey, nonce: Bytes }} RecordKeys */

/**
 * @param {string} text
 * @param {number} size
 */
function parseLink(text, size) {
  if (NEWER.test(text)) throw new Invalid("link", "This link needs a newer program", "newer");
  try {
    return fromBase64Url(text, size);
  } catch {
    throw new Invalid("link", "The link is damaged");
  }
}

/** @param {Header} header */
function check(header) {
  checkNumber("length", header.length, MOST_BYTES);
  checkNumber("created_at", header.createdAt, MOST_SECONDS);
  checkNumber("expires_at", header.expiresAt, MOST_SECONDS);
  if (header.kind !== "text" && header.kind !== "file") {
    throw new Invalid("kind", "An envelope holds text or files");
  }
  if ((header.kind === "file") !== header.files.length > 0) {
    throw new Invalid("files", "Files belong to the kind file, and to no other");
  }
  let sum = 0;
  for (const { name, type, size } of header.files) {
    checkNumber("size", size, MOST_BYTES);
    sum += size;
    if (!TYPE.test(type)) throw new Invalid("type", "The type of a file is not one");
    if (["", ".", ".."].includes(name) || NO_NAME.test(name)) {
      throw new Invalid("name", "The name of a file is not one");
    }
    if (encoder.encode(name).length > MOST_NAME_BYTES) {
      throw new Invalid("name", "The name of a file is too long", "too_long");
    }
  }
  if (header.files.length > 0 && sum !== header.length) {
    throw new Invalid("length", "The files are longer or shorter together");
  }
}

/**
 * @param {string} name
 * @param {number} number
 * @param {number} most
 */
function checkNumber(name, number, most) {
  if (!Number.isInteger(number) || number < 0 || number > most) {
    throw new Invalid(name, `Not from 0 to ${most}`, "out_of_range");
  }
}

/**
 * The values, whatever else there is: the comparison with `headerLine` finds it.
 *
 * @param {any} members
 * @returns {Header}
 */
function read(members) {
  return {
    kind: asText(members.kind),
    length: asWhole(members.length),
    createdAt: asWhole(members.created),
    expiresAt: asWhole(members.expires),
    files: (members.files ?? []).map((/** @type {any} */ each) => ({
      name: asText(each.name),
      type: asText(each.type),
      size: asWhole(each.size),
    })),
  };
}

/** @param {unknown} value */
function asText(value) {
  if (typeof value !== "string") throw new TypeError();
  return value;
}

/** @param {unknown} value */
function asWhole(value) {
  if (typeof value !== "number") throw new TypeError();
  return value;
}

/**
 * @param {Bytes} line
 * @param {Header} header
 * @param {Iterable<Bytes> | AsyncIterable<Bytes>} content
 */
async function* inside(line, header, content) {
  yield line;
  let length = 0;
  for await (const piece of content) {
    length += piece.length;
    if (length > header.length) break;
    yield piece;
  }
  if (length !== header.length) {
    throw new Invalid("content", "The content is not as long as its header says");
  }
  let zeros = paddedSize(line.length + length) - line.length - length;
  while (zeros) {
    const part = Math.min(zeros, RECORD_BYTES);
    yield new Uint8Array(part);
    zeros -= part;
  }
}

/**
 * @param {Bytes} contentKey
 * @param {AsyncIterable<Bytes>} pieces
 * @param {Bytes} salt
 */
async function* sealed(contentKey, pieces, salt) {
  const keys = await recordKeys(contentKey, salt);
  yield joined([salt, Uint8Array.from(HEAD)]);
  let number = 0;
  const data = new Uint8Array(DATA_BYTES + 1);
  let filled = 0;
  for await (const piece of pieces) {
    let at = 0;
    while (at < piece.length) {
      // What fills a record exactly waits: it may be the last.
      if (filled === DATA_BYTES) {
        data[filled] = MORE;
        yield await sealRecord(keys, number, data);
        number += 1;
        filled = 0;
      }
      const part = piece.subarray(at, at + DATA_BYTES - filled);
      data.set(part, filled);
      filled += part.length;
      at += part.length;
    }
  }
  data[filled] = LAST;
  yield await sealRecord(keys, number, data.subarray(0, filled + 1));
}

/**
 * Source: RFC 8188, sections 2.2 and 2.3.
 *
 * @param {Bytes} contentKey
 * @param {Bytes} salt
 * @returns {Promise<RecordKeys>}
 */
export async function recordKeys(contentKey, salt) {
  const raw = await expand(contentKey, salt, "Content-Encoding: aes128gcm\0", 16);
  const usages = /** @type {KeyUsage[]} */ (["encrypt", "decrypt"]);
  return {
    key: await crypto.subtle.importKey("raw", raw, "AES-GCM", false, usages),
    nonce: await expand(contentKey, salt, "Content-Encoding: nonce\0", 12),
  };
}

/**
 * `data` with its delimiter.
 *
 * @param {RecordKeys} keys
 * @param {number} number
 * @param {Bytes} data
 * @returns {Promise<Bytes>}
 */
export async function sealRecord(keys, number, data) {
  const how = { name: "AES-GCM", iv: nonceOf(keys, number) };
  return new Uint8Array(await crypto.subtle.encrypt(how, keys.key, data));
}

/**
 * @param {RecordKeys} keys
 * @param {number} number
 * @param {Bytes} record
 * @returns {Promise<Bytes>}
 */
export async function openRecord(keys, number, record) {
  const how = { name: "AES-GCM", iv: nonceOf(keys, number) };
  try {
    return new Uint8Array(await crypto.subtle.decrypt(how, keys.key, record));
  } catch {
    throw new Undecryptable("The envelope was changed, or this is not its key");
  }
}

/**
 * Source: RFC 8188, section 2.3: the number of the record, from 0, over the end of the nonce.
 *
 * @param {RecordKeys} keys
 * @param {number} number
 * @returns {Bytes}
 */
function nonceOf(keys, number) {
  const nonce = keys.nonce.slice();
  const end = new DataView(nonce.buffer, nonce.length - 8);
  end.setBigUint64(0, end.getBigUint64(0) ^ BigInt(number));
  return nonce;
}

/**
 * 32 bytes of HKDF-SHA256 without salt.
 *
 * @param {Bytes} key
 * @param {string} label
 */
async function hkdf(key, label) {
  return await expand(key, new Uint8Array(0), label, KEY_BYTES);
}

/**
 * @param {Bytes} key
 * @param {Bytes} salt
 * @param {string} info
 * @param {number} size
 * @returns {Promise<Bytes>}
 */
async function expand(key, salt, info, size) {
  const how = { name: "HKDF", hash: "SHA-256", salt, info: encoder.encode(info) };
  const base = await crypto.subtle.importKey("raw", key, "HKDF", false, ["deriveBits"]);
  return new Uint8Array(await crypto.subtle.deriveBits(how, base, 8 * size));
}

/**
 * @param {ArrayLike<number>} one
 * @param {ArrayLike<number>} other
 */
function areEqual(one, other) {
  return one.length === other.length && Array.from(one).every((byte, at) => byte === other[at]);
}

/**
 * @param {readonly Bytes[]} parts
 * @returns {Bytes}
 */
function joined(parts) {
  const whole = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}
