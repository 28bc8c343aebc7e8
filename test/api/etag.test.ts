import { describe, expect, test } from "vitest";
import { etagOf, expectVersion } from "../../src/api/etag.ts";

describe("If-Match", () => {
  test.each([
    [undefined, undefined],
    ["*", undefined],
    [etagOf(7), 7],
    ['"6", "7"', 7],
    [' "7" ', 7],
  ])("%s lets a change of version 7 go on", (header, version) => {
    expect(expectVersion(header, 7)).toBe(version);
  });

  test.each([etagOf(6), '"6", "8"', 'W/"7"', "7", '""', '"x"', "", '"7'])(
    "%s refuses a change of version 7",
    (header) => {
      expect(() => expectVersion(header, 7)).toThrow(expect.objectContaining({ kind: "precondition-failed" }));
    },
  );
});
