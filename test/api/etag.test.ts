import { describe, expect, test } from "vitest";
import { etagOf, versionFor } from "../../src/api/etag.ts";

describe("If-Match", () => {
  test.each([
    [undefined, undefined],
    ["*", undefined],
    [etagOf(7), 7],
    ['"6", "7"', 7],
    [' "7" ', 7],
  ])("%s lets a change of version 7 go on", async (header, version) => {
    expect(await versionFor(header, async () => ({ version: 7 }))).toBe(version);
  });

  test.each([etagOf(6), '"6", "8"', 'W/"7"', "7", '""', '"x"', "", '"7'])(
    "%s refuses a change of version 7",
    async (header) => {
      const refused = versionFor(header, async () => ({ version: 7 }));
      await expect(refused).rejects.toMatchObject({ kind: "precondition-failed" });
    },
  );
});
