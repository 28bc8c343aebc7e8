import { randomBytes } from "node:crypto";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { type CursorValue, decodeCursor, encodeCursor } from "../../src/api/cursor.ts";
import { createKeyring } from "../../src/platform/secrets.ts";

const keyring = createKeyring(randomBytes(32));
const values = fc.array(fc.oneof(fc.string(), fc.integer(), fc.constant(null)), { maxLength: 4 });

describe("cursor", () => {
  test("what was put in comes out, for the list it was made for", () => {
    fc.assert(
      fc.property(fc.string(), values, (list, position: CursorValue[]) => {
        expect(decodeCursor(keyring, list, encodeCursor(keyring, list, position))).toEqual(position);
      }),
    );
  });

  test("a cursor of another list, with a changed byte, or of another program is refused by name", () => {
    const cursor = encodeCursor(keyring, "/v1/subaccounts?state=active", ["a", 1]);
    const refused = expect.objectContaining({
      kind: "invalid",
      mistakes: [expect.objectContaining({ pointer: "/cursor" })],
    });
    expect(() => decodeCursor(keyring, "/v1/subaccounts?", cursor)).toThrow(refused);
    for (let i = 0; i < cursor.length; i += 1) {
      const changed = `${cursor.slice(0, i)}${cursor[i] === "A" ? "B" : "A"}${cursor.slice(i + 1)}`;
      const same = Buffer.from(changed, "base64url").equals(Buffer.from(cursor, "base64url"));
      if (!same) expect(() => decodeCursor(keyring, "/v1/subaccounts?state=active", changed)).toThrow();
    }
    const other = createKeyring(randomBytes(32));
    expect(() => decodeCursor(other, "/v1/subaccounts?state=active", cursor)).toThrow();
  });

  test("no text makes it do anything but refuse", () => {
    fc.assert(
      fc.property(fc.string(), (text) => {
        expect(() => decodeCursor(keyring, "/v1/keys?", text)).toThrow("cursor");
      }),
    );
  });
});
