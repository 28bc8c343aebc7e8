import { expect, test } from "vitest";
import { isoInstant } from "../../src/platform/instant.ts";

test("an instant is written as a Date writes itself, in whatever order they come", () => {
  const start = Date.UTC(2026, 11, 31, 23, 59, 58);
  for (const ms of [start, start + 7, start + 42, start + 999, start + 1000, start + 3, start + 2001, 0, 999]) {
    expect(isoInstant(ms)).toBe(new Date(ms).toISOString());
  }
});

test("an instant that is none is refused, and the next one is right", () => {
  expect(() => isoInstant(Number.NaN)).toThrow(RangeError);
  expect(isoInstant(1)).toBe("1970-01-01T00:00:00.001Z");
});
