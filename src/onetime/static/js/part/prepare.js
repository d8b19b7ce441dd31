import {
  derive,
  formatLinkKey,
  formatReceiptLink,
  newLinkKey,
  newReceiptKey,
  proofHash,
  receiptProof,
  seal,
  secretId,
} from "../crypto/envelope.js";

/**
 * `envelope` goes to the server; the fragments of the link and of the receipt's link do not.
 *
 * @typedef {{ envelope: Parameters<typeof import("../api.js").create>[0], link: string, receipt: string }} Prepared
 */

/**
 * New keys, and a text sealed for them. With a passphrase it takes a good part of a second.
 *
 * @param {string} text
 * @param {string} passphrase empty: none
 * @param {number} ttl seconds
 * @returns {Promise<Prepared>}
 */
export async function prepare(text, passphrase, ttl) {
  const linkKey = newLinkKey();
  const receiptKey = newReceiptKey();
  const keys = await derive(linkKey, passphrase);
  const id = await secretId(keys.linkProof);
  const content = new TextEncoder().encode(text);
  const now = Math.floor(Date.now() / 1000);
  const header = { kind: "text", length: content.length, createdAt: now, expiresAt: now + ttl, files: [] };
  return {
    envelope: {
      secretId: id,
      openHash: await proofHash(keys.openProof),
      receiptHash: await proofHash(await receiptProof(receiptKey)),
      hasPassphrase: passphrase !== "",
      ttl,
      body: await seal(keys.contentKey, header, content),
    },
    link: formatLinkKey(linkKey),
    receipt: formatReceiptLink({ secretId: id, receiptKey }),
  };
}
