import { randomBytes } from "node:crypto";
import fc from "fast-check";
import { expect, test } from "vitest";
import { base32, createKeyring, sameBytes } from "../../src/platform/secrets.ts";

const keyring = createKeyring(randomBytes(32));

test("what was encrypted comes back under the same context", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 2000 }), fc.string(), (bytes, context) => {
      expect(sameBytes(keyring.decrypt(keyring.encrypt(bytes, context), context), bytes)).toBe(true);
    }),
  );
});

test("another context, another key or a changed byte is noticed", () => {
  const sealed = keyring.encrypt(Buffer.from("secret"), "here");
  expect(() => keyring.decrypt(sealed, "there")).toThrow();
  expect(() => createKeyring(randomBytes(32)).decrypt(sealed, "here")).toThrow();
  for (const at of [0, 12, sealed.length - 1]) {
    const changed = Buffer.from(sealed);
    changed[at]! ^= 1;
    expect(() => keyring.decrypt(changed, "here")).toThrow();
  }
  expect(() => keyring.decrypt(sealed.subarray(0, 20), "here")).toThrow();
});

test("a hash depends on the text and on the key", () => {
  expect(keyring.hash("a")).toEqual(keyring.hash("a"));
  expect(keyring.hash("a")).not.toEqual(keyring.hash("b"));
  expect(keyring.hash("a")).not.toEqual(createKeyring(randomBytes(32)).hash("a"));
});

test("base32 follows RFC 4648", () => {
  const cases = { "": "", f: "my", fo: "mzxq", foo: "mzxw6", foob: "mzxw6yq", fooba: "mzxw6ytb", foobar: "mzxw6ytboi" };
  for (const [text, expected] of Object.entries(cases)) expect(base32(Buffer.from(text))).toBe(expected);
});

test("a new secret has 160 bits and is never the same", () => {
  const secrets = Array.from({ length: 200 }, () => keyring.newSecret());
  expect(new Set(secrets).size).toBe(200);
  for (const secret of secrets) expect(secret).toMatch(/^[a-z2-7]{32}$/);
});

test("a secret of another length than 32 bytes is refused", () => {
  expect(() => createKeyring(randomBytes(31))).toThrow("32 bytes");
});
