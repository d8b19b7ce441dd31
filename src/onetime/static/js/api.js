/**
 * What this server is asked about envelopes, below /api/e2e; /api/openapi.json describes it.
 *
 * No function here takes a key or a passphrase. Proofs, claims and ids travel in headers and bodies, never in an address.
 * Each returns what the server said, or throws `Refused` (the server has answered: no) or `Unreached` (there was no answer,
 * or not the whole of one: whether the request arrived is not known, and the same one may be sent again).
 */

import { toBase64Url } from "./crypto/envelope.js";

/** @typedef {import("./crypto/envelope.js").Bytes} Bytes */

// This file lies at static/<version>/js/ below the address of the installation, wherever that is.
const ROOT = new URL("../../../api/e2e/", import.meta.url);

// Who has not answered by then will not.
const PATIENCE_MS = 120_000;

/** The server has answered: no. `code` is its stable word for why; the others are there where it said them. */
export class Refused extends Error {
  /**
   * @param {string} code
   * @param {{ status: number, message: string, field?: string, rule?: string, attemptsLeft?: number, retryAfter?: number }} said
   */
  constructor(code, { status, message, field, rule, attemptsLeft, retryAfter }) {
    super(message);
    this.name = "Refused";
    this.code = code;
    this.status = status;
    this.field = field;
    this.rule = rule;
    this.attemptsLeft = attemptsLeft;
    /** Seconds. */
    this.retryAfter = retryAfter;
  }
}

/** No answer of this server has arrived, or not all of it. */
export class Unreached extends Error {
  /** @param {unknown} [cause] */
  constructor(cause) {
    super("The server did not answer", { cause });
    this.name = "Unreached";
  }
}

/**
 * `ttl` in seconds. The same again, to the letter, is answered as it was the first time as long as the secret is new.
 *
 * @param {{ secretId: Bytes, openHash: Bytes, receiptHash: Bytes, hasPassphrase: boolean, ttl: number, body: Bytes }} envelope
 */
export async function create({ secretId, openHash, receiptHash, hasPassphrase, ttl, body }) {
  const headers = {
    "Content-Type": "application/octet-stream",
    "Onetime-Secret-Id": toBase64Url(secretId),
    "Onetime-Open-Hash": toBase64Url(openHash),
    "Onetime-Receipt-Hash": toBase64Url(receiptHash),
    "Onetime-Ttl": String(ttl),
    "Onetime-Passphrase": hasPassphrase ? "yes" : "no",
  };
  const answer = await post("create", body, headers);
  return await read(answer, { createdAt: whole, secretExpiresAt: whole, expiresAt: whole, now: whole });
}

/** @param {Bytes} linkProof */
export async function look(linkProof) {
  return await read(await ask("look", { linkProof }), {
    state: text,
    hasPassphrase: truth,
    sizeBytes: whole,
    createdAt: whole,
    secretExpiresAt: whole,
    windowEndsAt: wholeOrNull,
    attemptsLeft: whole,
    lockedUntil: wholeOrNull,
    closed: truth,
    now: whole,
  });
}

/**
 * The envelope. With the same claim the same again, until it is settled or its window has ended.
 *
 * @param {{ linkProof: Bytes, openProof: Bytes, claim: Bytes }} proofs
 */
export async function reveal(proofs) {
  const answer = await ask("reveal", proofs);
  const body = new Uint8Array(await whenArrived(answer.arrayBuffer()));
  // Without https a browser takes a head that broke off for a whole one, with nothing behind it.
  if (body.length === 0) throw new Unreached();
  return {
    body,
    windowEndsAt: ofHeader(answer, "Onetime-Window-Ends-At"),
    now: ofHeader(answer, "Onetime-Now"),
  };
}

/**
 * Goes on when the page is closed meanwhile: what was shown has been shown.
 *
 * @param {{ linkProof: Bytes, claim: Bytes }} proofs
 */
export async function settle(proofs) {
  return await read(await ask("settle", proofs, { keepalive: true }), { acknowledgedAt: whole, now: whole });
}

/** @param {{ linkProof: Bytes, openProof: Bytes } | { linkProof: Bytes, claim: Bytes }} proofs */
export async function burn(proofs) {
  return await read(await ask("burn", proofs), { state: text, now: whole });
}

/** @param {{ secretId: Bytes, receiptProof: Bytes }} proofs */
export async function receipt(proofs) {
  return await read(await ask("receipt", proofs), RECEIPT);
}

/**
 * The receipt of what is destroyed now.
 *
 * @param {{ secretId: Bytes, receiptProof: Bytes }} proofs
 */
export async function receiptBurn(proofs) {
  return await read(await ask("receipt/burn", proofs), RECEIPT);
}

const RECEIPT = {
  state: text,
  hasPassphrase: truth,
  createdAt: whole,
  secretExpiresAt: whole,
  expiresAt: whole,
  endedAt: wholeOrNull,
  acknowledged: truth,
  acknowledgedAt: wholeOrNull,
  windowEndsAt: wholeOrNull,
  wrongTries: whole,
  closed: truth,
  now: whole,
};

/**
 * @param {string} path
 * @param {Record<string, Bytes>} proofs
 * @param {RequestInit} [how]
 */
async function ask(path, proofs, how) {
  const members = Object.entries(proofs).map(([name, raw]) => [snake(name), toBase64Url(raw)]);
  const body = JSON.stringify(Object.fromEntries(members));
  return await post(path, body, { "Content-Type": "application/json" }, how);
}

/**
 * @param {string} path
 * @param {Bytes | string} body
 * @param {Record<string, string>} headers
 * @param {RequestInit} [how]
 */
async function post(path, body, headers, how) {
  const answer = await whenArrived(
    fetch(new URL(path, ROOT), {
      method: "POST",
      headers,
      body,
      cache: "no-store",
      redirect: "error",
      ...how,
      signal: AbortSignal.timeout(PATIENCE_MS),
    }),
  );
  if (!answer.ok) throw await refusal(answer);
  return answer;
}

/** @param {Response} answer */
async function refusal(answer) {
  const said = (await whenArrived(answer.json()))?.error;
  // Of a proxy before the server: the request may have arrived all the same.
  if (typeof said?.code !== "string") return new Unreached();
  return new Refused(said.code, {
    status: answer.status,
    message: String(said.message),
    field: said.field,
    rule: said.rule,
    attemptsLeft: said.attempts_left,
    retryAfter: said.retry_after,
  });
}

/**
 * The members that are expected, each of its kind; what else is said is not read.
 *
 * @template {Record<string, (value: unknown) => unknown>} Kinds
 * @param {Response} answer
 * @param {Kinds} kinds
 * @returns {Promise<{ [Name in keyof Kinds]: ReturnType<Kinds[Name]> }>}
 */
async function read(answer, kinds) {
  const said = await whenArrived(answer.json());
  const members = Object.entries(kinds).map(([name, kind]) => [name, kind(said?.[snake(name)])]);
  return Object.fromEntries(members);
}

/**
 * @template T
 * @param {Promise<T>} coming
 * @returns {Promise<T>}
 */
async function whenArrived(coming) {
  try {
    return await coming;
  } catch (error) {
    throw new Unreached(error);
  }
}

/**
 * @param {Response} answer
 * @param {string} name
 */
function ofHeader(answer, name) {
  const stated = answer.headers.get(name);
  return whole(stated === null ? undefined : Number(stated));
}

/** @param {string} name */
function snake(name) {
  return name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
}

/** @param {unknown} value */
function whole(value) {
  if (typeof value !== "number" || !Number.isSafeInteger(value)) throw new Unreached(value);
  return value;
}

/** @param {unknown} value */
function wholeOrNull(value) {
  return value === null ? null : whole(value);
}

/** @param {unknown} value */
function text(value) {
  if (typeof value !== "string") throw new Unreached(value);
  return value;
}

/** @param {unknown} value */
function truth(value) {
  if (typeof value !== "boolean") throw new Unreached(value);
  return value;
}
