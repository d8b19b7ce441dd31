// What api.js asks, and what it makes of answers, with a server that is played.

import assert from "node:assert/strict";
import test from "node:test";

import * as api from "../../src/onetime/static/js/api.js";

const bytes = (size, value) => new Uint8Array(size).fill(value);
const ONES = "AQEB".repeat(10) + "AQE";
const TWOS = "AgIC".repeat(10) + "AgI";
const CLAIM = "AwMD".repeat(5) + "Aw";

const proofs = { linkProof: bytes(32, 1), openProof: bytes(32, 2) };
const claim = bytes(16, 3);

const LOOK = {
  state: "new",
  has_passphrase: true,
  size_bytes: 294,
  created_at: 1,
  secret_expires_at: 2,
  window_ends_at: null,
  attempts_left: 10,
  locked_until: null,
  closed: false,
  now: 3,
};
const RECEIPT = {
  state: "new",
  has_passphrase: false,
  created_at: 1,
  secret_expires_at: 2,
  expires_at: 3,
  ended_at: null,
  acknowledged: false,
  acknowledged_at: null,
  window_ends_at: null,
  wrong_tries: 0,
  closed: false,
  now: 4,
};

/** The one request that `ask` makes, which is answered so. */
async function asked(answer, ask) {
  let request;
  globalThis.fetch = async (url, options) => {
    request = { url, ...options };
    if (answer instanceof Error) throw answer;
    return answer;
  };
  let got;
  let error;
  try {
    got = await ask();
  } catch (each) {
    error = each;
  }
  return { request, got, error };
}

const json = (said, status = 200, headers = {}) => Response.json(said, { status, headers });

test("an envelope goes as bytes, and what belongs to it in headers", async () => {
  const said = { created_at: 1, secret_expires_at: 2, expires_at: 3, now: 1 };
  const envelope = {
    secretId: bytes(32, 1),
    openHash: bytes(32, 2),
    receiptHash: bytes(32, 1),
    hasPassphrase: true,
    ttl: 3600,
    body: bytes(294, 9),
  };
  const { request, got } = await asked(json(said, 201), () => api.create(envelope));
  assert.match(String(request.url), /\/api\/e2e\/create$/);
  assert.equal(request.method, "POST");
  assert.equal(request.body, envelope.body);
  assert.deepEqual(request.headers, {
    "Content-Type": "application/octet-stream",
    "Onetime-Secret-Id": ONES,
    "Onetime-Open-Hash": TWOS,
    "Onetime-Receipt-Hash": ONES,
    "Onetime-Ttl": "3600",
    "Onetime-Passphrase": "yes",
  });
  assert.deepEqual(got, { createdAt: 1, secretExpiresAt: 2, expiresAt: 3, now: 1 });
});

test("questions are JSON, of proofs alone", async () => {
  const bytesAnswer = () =>
    new Response(bytes(3, 7), { headers: { "Onetime-Window-Ends-At": "600", "Onetime-Now": "5" } });
  const both = { link_proof: ONES, open_proof: TWOS };
  const own = { secretId: bytes(32, 1), receiptProof: bytes(32, 2) };
  const cases = [
    [json(LOOK), () => api.look(proofs.linkProof), "look", { link_proof: ONES }],
    [bytesAnswer(), () => api.reveal({ ...proofs, claim }), "reveal", { ...both, claim: CLAIM }],
    [
      json({ acknowledged_at: 1, now: 2 }),
      () => api.settle({ linkProof: proofs.linkProof, claim }),
      "settle",
      { link_proof: ONES, claim: CLAIM },
    ],
    [json({ state: "burned", now: 2 }), () => api.burn(proofs), "burn", both],
    [json(RECEIPT), () => api.receipt(own), "receipt", { secret_id: ONES, receipt_proof: TWOS }],
    [json(RECEIPT), () => api.receiptBurn(own), "receipt/burn", { secret_id: ONES, receipt_proof: TWOS }],
  ];
  for (const [answer, ask, path, members] of cases) {
    const { request, error } = await asked(answer, ask);
    assert.equal(error, undefined);
    assert.ok(String(request.url).endsWith(`/api/e2e/${path}`), request.url);
    assert.equal(request.url.search, "");
    assert.deepEqual(JSON.parse(request.body), members);
  }
});

test("answers are read by their members", async () => {
  const { got } = await asked(json(LOOK), () => api.look(proofs.linkProof));
  assert.equal(got.hasPassphrase, true);
  assert.equal(got.windowEndsAt, null);
  const answer = new Response(bytes(3, 7), {
    headers: { "Onetime-Window-Ends-At": "600", "Onetime-Now": "5" },
  });
  const revealed = (await asked(answer, () => api.reveal({ ...proofs, claim }))).got;
  assert.deepEqual(revealed, { body: bytes(3, 7), windowEndsAt: 600, now: 5 });
});

test("a refusal says why", async () => {
  const said = { error: { code: "wrong_passphrase", message: "No.", attempts_left: 3 } };
  const { error } = await asked(json(said, 403), () => api.burn(proofs));
  assert.ok(error instanceof api.Refused);
  assert.deepEqual(
    [error.code, error.status, error.attemptsLeft, error.retryAfter],
    ["wrong_passphrase", 403, 3, undefined],
  );
});

test("whatever is no answer of the server is none", async () => {
  const broken = new Response(
    new ReadableStream({ start: (stream) => stream.error(new TypeError("cut")) }),
  );
  const html = () => new Response("<h1>Bad gateway</h1>", { status: 502 });
  for (const answer of [
    new TypeError("network"),
    broken,
    html(),
    new Response("{", { status: 200 }),
    json({ error: "no" }, 500),
    json(null),
    json({ ...LOOK, now: "3" }),
    json({ ...LOOK, state: undefined }),
  ]) {
    const { error } = await asked(answer, () => api.look(proofs.linkProof));
    assert.ok(error instanceof api.Unreached, String(error));
  }
  const headers = { "Onetime-Window-Ends-At": "600", "Onetime-Now": "5" };
  for (const answer of [new Response(bytes(3, 7)), new Response(bytes(0, 7), { headers })]) {
    const { error } = await asked(answer, () => api.reveal({ ...proofs, claim }));
    assert.ok(error instanceof api.Unreached, "a header is missing, or all of the body");
  }
});

test("a settle goes on when its page is closed, and nothing else does", async () => {
  const settled = await asked(Response.json({ acknowledged_at: 1, now: 2 }), () =>
    api.settle({ linkProof: proofs.linkProof, claim }),
  );
  assert.equal(settled.request.keepalive, true);
  const looked = await asked(Response.json(LOOK), () => api.look(proofs.linkProof));
  assert.equal(looked.request.keepalive, undefined);
});
