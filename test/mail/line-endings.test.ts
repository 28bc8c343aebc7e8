import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { createLineEndings } from "../../src/mail/line-endings.ts";

function through(chunks: readonly Buffer[]) {
  const endings = createLineEndings();
  const pieces: Buffer[] = [];
  for (const chunk of chunks) endings.push(chunk, (piece) => pieces.push(piece));
  endings.end((piece) => pieces.push(piece));
  return { text: Buffer.concat(pieces).toString("latin1"), pieces, nul: endings.nul, eightBit: endings.eightBit };
}

/** Bytes that are mostly the interesting ones, cut at any place. */
const chunks = fc.array(
  fc.array(fc.constantFrom(0x0d, 0x0a, 0x41, 0x2e, 0x00, 0xe9), { maxLength: 12 }).map((bytes) => Buffer.from(bytes)),
  { maxLength: 8 },
);

describe("line endings", () => {
  test.each([
    ["a\r\nb\r\n", "a\r\nb\r\n"],
    ["a\nb\n", "a\r\nb\r\n"],
    ["a\rb", "a\r\nb"],
    ["a\n\nb", "a\r\n\r\nb"],
    ["a\r\r\nb", "a\r\n\r\nb"],
    ["a\n\rb", "a\r\n\r\nb"],
    ["\n", "\r\n"],
    ["\r", "\r\n"],
    ["", ""],
    ["end\n.\nMAIL FROM:<x@example.com>\n", "end\r\n.\r\nMAIL FROM:<x@example.com>\r\n"],
  ])("%j becomes %j", (from, to) => {
    expect(through([Buffer.from(from)]).text).toBe(to);
  });

  test("CR and LF come out as CRLF only, and the result does not depend on the borders of the chunks", () => {
    fc.assert(
      fc.property(chunks, (parts) => {
        const { text } = through(parts);
        expect(text.replaceAll("\r\n", "")).not.toMatch(/[\r\n]/);
        expect(text).toBe(through([Buffer.concat(parts)]).text);
        expect(text.replaceAll("\r\n", "")).toBe(
          Buffer.concat(parts)
            .toString("latin1")
            .replace(/[\r\n]/g, ""),
        );
      }),
    );
  });

  test("NUL and 8-bit bytes are found wherever they stand", () => {
    fc.assert(
      fc.property(chunks, (parts) => {
        const all = Buffer.concat(parts);
        const { nul, eightBit } = through(parts);
        expect(nul).toBe(all.includes(0));
        expect(eightBit).toBe(all.some((byte) => byte > 0x7f));
      }),
    );
  });

  test("a clean chunk is passed on without a copy", () => {
    const clean = Buffer.from("Subject: x\r\n\r\nbody\r\n");
    expect(through([clean]).pieces[0]).toBe(clean);
  });
});
