/**
 * The parsers with a few hundred inputs each, the same each time: a change is judged by what it does. New inputs come from
 * `npm run faults -- --only parsers`.
 */
import fc from "fast-check";
import { expect, test, vi } from "vitest";
import { properties } from "./properties.ts";

const given: number[] = [];
vi.mock("node:url", async (original) => {
  const url = await original<typeof import("node:url")>();
  const domainToASCII = (text: string) => {
    given.push(text.length);
    return url.domainToASCII(text);
  };
  return { ...url, domainToASCII };
});

const SEED = 5321;

test.each(Object.entries(properties))("%s", async (_, property) => {
  await fc.assert(property as fc.IAsyncProperty<never>, { numRuns: 400, seed: SEED });
});

test("what takes time by the square is given short texts only, and not more of them than were written", async () => {
  const { parseMailboxes } = await import("../../src/mail/mailboxes.ts");
  const wide = String.fromCharCode(...Array.from({ length: 5000 }, (_, i) => 0x4e00 + i));
  const name = Array.from({ length: 20 }, (_, i) => `a@${wide.slice(i, 5000 - i)}.example`).join(" ");
  given.length = 0;
  expect(parseMailboxes(`${name} <a@b.example>`)).toBeUndefined();
  expect(parseMailboxes("x@bücher.example")).toEqual(["x@xn--bcher-kva.example"]);
  expect(given).toEqual(["bücher.example".length]);
});

test("a property that does not hold is found", async () => {
  const { nastyText } = await import("./texts.ts");
  const wrong = fc.property(nastyText(), (text) => !text.includes("\r\n"));
  expect(fc.check(wrong, { numRuns: 400 }).failed).toBe(true);
});
