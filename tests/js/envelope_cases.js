// What a case of tests/vectors/envelope asks of an implementation; tests/crypto/envelope_cases.py asks the same in Python.
//
//     const asked = new Asked(envelope, async (name) => caseOfThatName);
//     (await asked.faults("seal-empty")).length === 0
//
// The implementation is a module, so that broken ones can be asked too. Runs in node and in a page.

const PIECE_BYTES = 1000;
const encoder = new TextEncoder();

export class Asked {
  #envelope;
  #read;
  #bodies = new Map();

  constructor(envelope, read) {
    this.#envelope = envelope;
    this.#read = read;
  }

  async faults(name) {
    const one = await this.#read(name);
    const ask = {
      "link key": this.#linkKey,
      "receipt link": this.#receiptLink,
      passphrase: this.#passphrase,
      derive: this.#derive,
      receipt: this.#receipt,
      header: this.#header,
      padding: this.#padding,
      seal: this.#seal,
      refuse: this.#refuse,
      records: this.#records,
    }[one.asks];
    const found = [];
    for await (const fault of ask.call(this, one)) if (fault) found.push(fault);
    return found;
  }

  async *#linkKey(one) {
    const parse = () => this.#envelope.parseLinkKey(one.text);
    if (one.rule) {
      yield refused(this.#envelope, parse, "link", one.rule);
    } else {
      yield differs("bytes", hex(parse()), one.bytes);
      yield differs("text", this.#envelope.formatLinkKey(bytes(one.bytes)), one.text);
    }
  }

  async *#receiptLink(one) {
    const parse = () => this.#envelope.parseReceiptLink(one.text);
    if (one.rule) {
      yield refused(this.#envelope, parse, "link", one.rule);
    } else {
      const receipt = parse();
      yield differs("secret id", hex(receipt.secretId), one.secret_id);
      yield differs("receipt key", hex(receipt.receiptKey), one.receipt_key);
      yield differs("text", this.#envelope.formatReceiptLink(receipt), one.text);
    }
  }

  async *#passphrase(one) {
    const spell = () => this.#envelope.normalPassphrase(one.passphrase, { isNew: one.is_new });
    if (one.rule) yield refused(this.#envelope, spell, "passphrase", one.rule);
    else yield differs("normal", spell(), one.normal);
  }

  async *#derive(one) {
    const linkKey = bytes(one.link_key);
    const keys = await this.#envelope.derive(linkKey, one.passphrase);
    yield differs("link proof", hex(keys.linkProof), one.link_proof);
    yield differs("open proof", hex(keys.openProof), one.open_proof);
    yield differs("content key", hex(keys.contentKey), one.content_key);
    yield differs("alone", hex(await this.#envelope.linkProof(linkKey)), one.link_proof);
    yield differs("id", hex(await this.#envelope.secretId(keys.linkProof)), one.secret_id);
    yield differs("hash", hex(await this.#envelope.proofHash(keys.openProof)), one.open_hash);
  }

  async *#receipt(one) {
    const proof = await this.#envelope.receiptProof(bytes(one.receipt_key));
    yield differs("proof", hex(proof), one.receipt_proof);
    yield differs("hash", hex(await this.#envelope.proofHash(proof)), one.receipt_hash);
  }

  async *#header(one) {
    const header = made(one);
    const seal = () => this.#envelope.sealStream(new Uint8Array(32), header, [new Uint8Array(1)]);
    yield refused(this.#envelope, seal, one.field, one.rule);
    yield refused(this.#envelope, () => this.#envelope.bodySize(header), one.field, one.rule);
  }

  async *#padding(one) {
    for (const [size, padded] of one.sizes) {
      yield differs(`padded ${size}`, this.#envelope.paddedSize(size), padded);
    }
  }

  async *#seal(one) {
    const [key, salt] = [bytes(one.content_key), bytes(one.salt)];
    const [header, content] = [made(one.header), await this.#joined(one.content)];
    const line = encoder.encode(one.header_line);
    yield differs("line", hex(this.#envelope.headerLine(header)), hex(line));
    yield differs("parsed", this.#envelope.parseHeader(line), header);
    yield differs("size", this.#envelope.bodySize(header), one.body_size);
    const body = await this.#envelope.seal(key, header, content, { salt });
    if (one.body) yield differs("body", hex(body), hex(await this.#joined(one.body)));
    else yield differs("hash", await sha256(body), one.body_sha256);
    const streamed = [];
    const stream = this.#envelope.sealStream(key, header, pieces(content), { salt });
    for await (const part of stream) streamed.push(part);
    yield differs("streamed", await sha256(concat(streamed)), await sha256(body));
    const opened = await this.#envelope.open(key, body);
    yield differs("header", opened.header, header);
    yield differs("content", await sha256(opened.content), await sha256(content));
    const opener = new this.#envelope.Opener(key);
    const got = [];
    for (const piece of pieces(body)) got.push(await opener.add(piece));
    got.push(await opener.end());
    yield differs("header in pieces", opener.header, header);
    yield differs("content in pieces", await sha256(concat(got)), await sha256(content));
  }

  async *#refuse(one) {
    const [key, body] = [bytes(one.content_key), await this.#joined(one.body)];
    if (one.body_sha256) yield differs("hash", await sha256(body), one.body_sha256);
    yield undecryptable(this.#envelope, () => this.#envelope.open(key, body));
    const genuine = (await this.#joined(one.content)).subarray(0, one.released);
    const released = [];
    const opener = new this.#envelope.Opener(key);
    yield undecryptable(this.#envelope, async () => {
      for (const piece of pieces(body)) released.push(await opener.add(piece));
      released.push(await opener.end());
    });
    yield differs("released", hex(concat(released)), hex(genuine));
    yield undecryptable(this.#envelope, () => opener.add(new Uint8Array(0)));
    yield undecryptable(this.#envelope, () => opener.end());
  }

  async *#records(one) {
    const keys = await this.#envelope.recordKeys(bytes(one.content_key), bytes(one.salt));
    for (const [number, plain] of one.plain.entries()) {
      const sealed = await this.#envelope.sealRecord(keys, number, bytes(plain));
      yield differs(`sealed ${number}`, hex(sealed), one.sealed[number]);
      const opened = await this.#envelope.openRecord(keys, number, bytes(one.sealed[number]));
      yield differs(`opened ${number}`, hex(opened), plain);
    }
  }

  /** Bodies of other cases and of records are sealed by the implementation itself: their hashes say that it is right. */
  async #joined(given) {
    const parts = [];
    for (const piece of given) parts.push(await this.#piece(piece));
    return concat(parts);
  }

  async #piece(piece) {
    if ("hex" in piece) return bytes(piece.hex);
    if ("text" in piece) return encoder.encode(piece.text);
    if ("repeat" in piece) {
      const unit = encoder.encode(piece.repeat);
      return Uint8Array.from({ length: piece.size }, (_, at) => unit[at % unit.length]);
    }
    if ("sealed" in piece) return await this.#sealed(piece);
    return (await this.#body(piece.body)).slice(piece.from, piece.to);
  }

  async #sealed(piece) {
    const like = await this.#read("seal-text");
    const keys = await this.#envelope.recordKeys(bytes(like.content_key), bytes(piece.salt));
    const parts = [bytes(piece.salt), Uint8Array.of(0, 1, 0, 0, 0)];
    for (const [number, plain] of piece.sealed.entries()) {
      parts.push(await this.#envelope.sealRecord(keys, number, await this.#joined(plain)));
    }
    return concat(parts);
  }

  async #body(name) {
    if (!this.#bodies.has(name)) {
      const one = await this.#read(name);
      const content = await this.#joined(one.content);
      const [key, salt] = [bytes(one.content_key), bytes(one.salt)];
      this.#bodies.set(name, await this.#envelope.seal(key, made(one.header), content, { salt }));
    }
    return this.#bodies.get(name);
  }
}

function made(header) {
  return {
    kind: header.kind,
    length: header.length,
    createdAt: header.created_at,
    expiresAt: header.expires_at,
    files: header.files,
  };
}

/** Small enough that no two records come at once. */
function* pieces(whole) {
  for (let at = 0; at < whole.length; at += PIECE_BYTES) yield whole.slice(at, at + PIECE_BYTES);
}

function differs(what, got, wanted) {
  const [one, other] = [JSON.stringify(got), JSON.stringify(wanted)];
  return one === other ? "" : `${what}: ${one?.slice(0, 200)} and not ${other?.slice(0, 200)}`;
}

function refused(envelope, ask, field, rule) {
  try {
    ask();
  } catch (error) {
    if (!(error instanceof envelope.Invalid)) throw error;
    return differs("refused", [error.field, error.rule], [field, rule]);
  }
  return `not refused, by ${rule}`;
}

async function undecryptable(envelope, ask) {
  try {
    await ask();
  } catch (error) {
    if (error instanceof envelope.Undecryptable) return "";
    return `another error: ${error}`;
  }
  return "opened";
}

export function hex(raw) {
  return Array.from(raw, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

export function bytes(text) {
  return Uint8Array.from(text.match(/../g) ?? [], (pair) => parseInt(pair, 16));
}

export function concat(parts) {
  const whole = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}

async function sha256(raw) {
  return hex(new Uint8Array(await crypto.subtle.digest("SHA-256", raw)));
}
