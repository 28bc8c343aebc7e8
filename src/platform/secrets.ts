/**
 * What POSTMETER_SECRET is for: keyed hashes of generated secrets, and encryption of what must be read again.
 *
 * Invariant: the secret itself is used for nothing but deriving keys (HKDF), one for each purpose.
 * On failure: `decrypt` throws when a byte, the key or the context differs.
 */
import {
  createCipheriv,
  createDecipheriv,
  createHmac,
  createSecretKey,
  hkdfSync,
  randomBytes,
  timingSafeEqual,
} from "node:crypto";
import { Fault } from "./errors.ts";

export type Keyring = Readonly<{
  /** HMAC-SHA256. For secrets of 160 random bits: no slow hash is needed. */
  hash(text: string): Buffer;
  /** AES-256-GCM: nonce (12), tag (16), ciphertext. `context` binds the bytes to their use, e.g. `idempotency:<key>`. */
  encrypt(bytes: Uint8Array, context: string): Buffer;
  decrypt(bytes: Uint8Array, context: string): Buffer;
  /** 160 random bits, 32 characters a-z2-7. */
  newSecret(): string;
}>;

const NONCE_BYTES = 12;
const TAG_BYTES = 16;

/** What `newSecret` gives, anywhere in a text and in whatever case. */
export const SECRET_FORM = /[a-z2-7]{32}/i;

const alphabet = "abcdefghijklmnopqrstuvwxyz234567";

/** `secret`: 32 bytes. */
export function createKeyring(secret: Buffer): Keyring {
  if (secret.length !== 32)
    throw new Fault("unavailable", "POSTMETER_SECRET is needed: 32 bytes, the same in every program.");
  const hashKey = createSecretKey(derive(secret, "hash")); // prepared once: a seventh of the cost of each hash
  const cipherKey = derive(secret, "encrypt");
  return {
    hash: (text) => createHmac("sha256", hashKey).update(text).digest(),
    encrypt(bytes, context) {
      const nonce = randomBytes(NONCE_BYTES);
      const cipher = createCipheriv("aes-256-gcm", cipherKey, nonce).setAAD(Buffer.from(context));
      const text = Buffer.concat([cipher.update(bytes), cipher.final()]);
      return Buffer.concat([nonce, cipher.getAuthTag(), text]);
    },
    decrypt(bytes, context) {
      const nonce = bytes.subarray(0, NONCE_BYTES);
      const cipher = createDecipheriv("aes-256-gcm", cipherKey, nonce, { authTagLength: TAG_BYTES });
      cipher.setAAD(Buffer.from(context)).setAuthTag(bytes.subarray(NONCE_BYTES, NONCE_BYTES + TAG_BYTES));
      return Buffer.concat([cipher.update(bytes.subarray(NONCE_BYTES + TAG_BYTES)), cipher.final()]);
    },
    newSecret: () => base32(randomBytes(20)),
  };
}

function derive(secret: Buffer, purpose: string): Buffer {
  return Buffer.from(hkdfSync("sha256", secret, Buffer.alloc(0), `postmeter ${purpose}`, 32));
}

/** RFC 4648 base32, lower case, without padding. */
export function base32(bytes: Uint8Array): string {
  let text = "";
  let bits = 0;
  let value = 0;
  for (const byte of bytes) {
    value = ((value << 8) | byte) & 0xffff;
    for (bits += 8; bits >= 5; bits -= 5) text += alphabet[(value >>> (bits - 5)) & 31];
  }
  return bits > 0 ? text + alphabet[(value << (5 - bits)) & 31] : text;
}

/** Equal in constant time for a given length. */
export function sameBytes(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && timingSafeEqual(a, b);
}
