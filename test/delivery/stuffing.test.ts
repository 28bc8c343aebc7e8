import fc from "fast-check";
import { expect, test } from "vitest";
import { createStuffing } from "../../src/delivery/stuffing.ts";

function stuff(...parts: string[]): string {
  const stuffing = createStuffing();
  const pieces = parts.flatMap((part) => stuffing.add(Buffer.from(part, "latin1")));
  return Buffer.concat(pieces).toString("latin1") + stuffing.end();
}

/** What a receiver makes of it (RFC 5321 4.5.2). */
function receive(wire: string): string {
  const end = wire.startsWith(".\r\n") ? 0 : wire.indexOf("\r\n.\r\n") + 2;
  expect(wire.slice(end)).toBe(".\r\n");
  return wire.slice(0, end).replace(/(^|\r\n)\./g, "$1");
}

test.each([
  [["a\r\nb\r\n"], "a\r\nb\r\n.\r\n"],
  [["a\r\nb"], "a\r\nb\r\n.\r\n"],
  [[".a\r\n"], "..a\r\n.\r\n"],
  [["a\r\n.\r\n", "b\r\n"], "a\r\n..\r\nb\r\n.\r\n"],
  [["a\r\n", ".b\r\n"], "a\r\n..b\r\n.\r\n"],
  [["a\r", "\n.b\r\n"], "a\r\n..b\r\n.\r\n"],
  [["a\r\n", "", ".", "b\r\n"], "a\r\n..b\r\n.\r\n"],
  [["a\n.\n"], "a\n..\n.\r\n"],
  [[], ".\r\n"],
])("%j", (parts, wire) => {
  expect(stuff(...parts)).toBe(wire);
});

test("the receiver gets the message back, however it was cut, and its end is the only end", () => {
  const line = fc.oneof(
    fc.constantFrom("", ".", "..", ".x", "x."),
    fc.string({ unit: fc.constantFrom("a", ".", " ") }),
  );
  const message = fc.array(line, { minLength: 1 }).map((lines) => `${lines.join("\r\n")}\r\n`);
  fc.assert(
    fc.property(message, fc.array(fc.nat({ max: 60 })), (text, cuts) => {
      const places = [0, ...cuts.map((cut) => Math.min(cut, text.length)).sort((a, b) => a - b), text.length];
      const parts = places.slice(1).map((place, i) => text.slice(places[i], place));
      expect(receive(stuff(...parts))).toBe(text);
    }),
  );
});
