/**
 * Why nothing can be encrypted here: "insecure" (the page came over plain http from another machine, so browsers lend no
 * cryptography), "old" (the browser lacks something), or "" where it can be.
 */
export function hindrance() {
  if (!isSecureContext) return "insecure";
  const isNew = typeof crypto.subtle?.deriveBits === "function" && typeof AbortSignal.timeout === "function";
  return isNew ? "" : "old";
}
