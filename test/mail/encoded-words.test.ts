import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { decodeWords } from "../../src/mail/encoded-words.ts";

describe("encoded words", () => {
  test.each([
    ["plain", "plain"],
    ["=?utf-8?B?R3LDvMOfZQ==?=", "Grüße"],
    ["=?UTF-8?q?Gr=C3=BC=C3=9Fe_an?= alle", "Grüße an alle"],
    ["=?iso-8859-1?Q?Gr=FC=DFe?=", "Grüße"],
    ["=?utf-8?Q?a?= =?utf-8?Q?b?=", "ab"],
    ["=?utf-8*en?Q?a?=", "a"],
    ["=?x-unknown?Q?a?=", "=?x-unknown?Q?a?="],
    ["=?utf-8?Q?line=0D=0Abreak=00?=", "line break"],
    ["tab\there", "tab here"],
  ])("%s is shown as %s", (value, shown) => {
    expect(decodeWords(value, 250)).toBe(shown);
  });

  test("what is shown is bounded, whole, and free of control characters", () => {
    fc.assert(
      fc.property(fc.string({ unit: "binary", maxLength: 400 }), fc.integer({ min: 1, max: 50 }), (value, length) => {
        const shown = decodeWords(value, length);
        expect(shown.length).toBeLessThanOrEqual(length);
        expect(shown).not.toMatch(/\p{Cc}/u);
      }),
    );
    expect(decodeWords("ab😀", 3)).toBe("ab");
  });
});
