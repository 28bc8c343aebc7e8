import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { MAX_LOGO_BYTES, readLogo } from "../../src/branding/logo.ts";
import { dataUrl, jpeg, png, webp } from "../support/brands.ts";

describe("a logo", () => {
  test.each([
    ["PNG", "image/png", png()],
    ["JPEG", "image/jpeg", jpeg()],
    ["WebP", "image/webp", webp()],
    ["lossy WebP", "image/webp", webp("VP8 ")],
    ["lossless WebP", "image/webp", webp("VP8L")],
    ["PNG of the largest size", "image/png", png(4096, 4096, MAX_LOGO_BYTES - 57)],
  ])("is taken as %s, byte for byte", (_, type, bytes) => {
    expect(readLogo(dataUrl(type, bytes))).toEqual({ type, bytes });
  });

  test.each([
    ["a picture of another kind than it says", dataUrl("image/png", jpeg()), /not those of image\/png/],
    ["HTML", dataUrl("image/png", Buffer.from("<html><script>alert(1)</script>".padEnd(200))), /not those of/],
    ["a signature and nothing behind it", dataUrl("image/png", png().subarray(0, 8)), /not those of/],
    [
      "a signature with HTML behind it",
      dataUrl("image/png", Buffer.from(`\x89PNG\r\n\x1a\n${"<p>".repeat(40)}`, "latin1")),
      /not/,
    ],
    [
      "a JPEG without a frame",
      dataUrl("image/jpeg", Buffer.from([0xff, 0xd8, 0xff, 0xd9, ...Buffer.alloc(50)])),
      /not those/,
    ],
    ["a WebP that is cut off", dataUrl("image/webp", webp().subarray(0, 31)), /not those of/],
    ["SVG", `data:image/svg+xml;base64,${Buffer.from("<svg/>").toString("base64")}`, /data URL/],
    ["a byte too many", dataUrl("image/png", png(16, 16, MAX_LOGO_BYTES - 56)), /at most 102400 bytes/],
    ["megabytes", dataUrl("image/png", png(16, 16, 5_000_000)), /at most 102400 bytes/],
    ["a small file of a huge picture", dataUrl("image/png", png(65_535, 65_535)), /4096 pixels/],
    ["no picture at all", dataUrl("image/png", png(0, 10)), /pixels/],
    ["an address of elsewhere", "https://evil.example/logo.png", /data URL/],
    ["text that is no base64", "data:image/png;base64,%%%%", /data URL/],
    ["half of base64", "data:image/png;base64,iVBOR", /data URL/],
    ["nothing", "", /data URL/],
  ])("is refused as %s", (_, url, why) => {
    expect(readLogo(url)).toMatch(why);
  });

  test("is read without harm, whatever it is", () => {
    const starts = [png(), jpeg(), webp(), webp("VP8 "), webp("VP8L")];
    const types = ["image/png", "image/jpeg", "image/webp"];
    const bytes = fc
      .tuple(fc.constantFrom(...starts), fc.nat(60), fc.uint8Array({ maxLength: 80 }))
      .map(([start, length, rest]) => Buffer.concat([start.subarray(0, length), rest]));
    fc.assert(
      fc.property(bytes, fc.constantFrom(...types), (given, type) => {
        const read = readLogo(dataUrl(type, given));
        if (typeof read !== "string") expect(read.bytes.equals(given)).toBe(true);
      }),
      { numRuns: 2000 },
    );
  });
});
