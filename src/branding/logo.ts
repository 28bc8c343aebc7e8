/**
 * A logo as it is given: a data URL of a small PNG, JPEG or WebP.
 *
 * Invariant: what passes starts and is built as the kind of picture that it says it is, and is no larger on a screen than
 * MAX_PIXELS: a small file must not unpack to gigabytes in a reader's mail program. SVG is not taken: it can hold scripts.
 */
import type { LogoType } from "./rows.ts";

export type Logo = Readonly<{ type: LogoType; bytes: Buffer }>;

export const MAX_LOGO_BYTES = 100 * 1024;
const MAX_PIXELS = 4096; // of each side
const DATA_URL = /^data:(image\/(?:png|jpeg|webp));base64,([A-Za-z0-9+/]+={0,2})$/;
const PNG = Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]);

/** Base64 of the largest one, with what stands before it. */
export const MAX_LOGO_CHARACTERS = Math.ceil(MAX_LOGO_BYTES / 3) * 4 + 30;

/** The logo, or what is wrong with it. */
export function readLogo(url: string): Logo | string {
  if (url.length > MAX_LOGO_CHARACTERS) return `A logo has at most ${MAX_LOGO_BYTES} bytes.`;
  const [, type, text] = DATA_URL.exec(url) ?? [];
  if (type === undefined || text === undefined || text.length % 4 !== 0) {
    return "This is not a data URL of a PNG, JPEG or WebP: data:image/png;base64,...";
  }
  const bytes = Buffer.from(text, "base64");
  if (bytes.length > MAX_LOGO_BYTES) return `A logo has at most ${MAX_LOGO_BYTES} bytes.`;
  const size = sizeOf[type as LogoType](bytes);
  if (size === undefined) return `The bytes are not those of ${type}.`;
  const fits = size.every((side) => side >= 1 && side <= MAX_PIXELS);
  return fits ? { type: type as LogoType, bytes } : `A logo has 1 to ${MAX_PIXELS} pixels on each side.`;
}

type Size = readonly [width: number, height: number];

/** Undefined: it is no such picture. */
const sizeOf: Readonly<Record<LogoType, (bytes: Buffer) => Size | undefined>> = {
  "image/png": sizeOfPng,
  "image/jpeg": sizeOfJpeg,
  "image/webp": sizeOfWebp,
};

/** Signature, then IHDR (ISO/IEC 15948 5.2, 11.2.2). */
function sizeOfPng(bytes: Buffer): Size | undefined {
  if (bytes.length < 45 || !bytes.subarray(0, 8).equals(PNG) || bytes.toString("latin1", 12, 16) !== "IHDR")
    return undefined;
  return [bytes.readUInt32BE(16), bytes.readUInt32BE(20)];
}

/** Segments up to the frame header (ISO/IEC 10918-1 B.1.1.3, B.2.2). */
function sizeOfJpeg(bytes: Buffer): Size | undefined {
  if (bytes.length < 4 || bytes.readUInt16BE(0) !== 0xffd8) return undefined;
  for (let at = 2; at + 9 <= bytes.length; ) {
    if (bytes[at] !== 0xff) return undefined;
    const marker = bytes[at + 1] as number;
    if (marker === 0xff) {
      at += 1; // fill bytes
      continue;
    }
    const frame = marker >= 0xc0 && marker <= 0xcf && ![0xc4, 0xc8, 0xcc].includes(marker);
    if (frame) return [bytes.readUInt16BE(at + 7), bytes.readUInt16BE(at + 5)];
    if (marker < 0xc0 || (marker >= 0xd0 && marker <= 0xda)) return undefined; // scan data, or nothing that stands here
    at += 2 + Math.max(2, bytes.readUInt16BE(at + 2));
  }
  return undefined;
}

/** RFC 9649 2.4 to 2.7: the canvas of VP8X, or the one frame. */
function sizeOfWebp(bytes: Buffer): Size | undefined {
  if (bytes.length < 30 || bytes.toString("latin1", 0, 4) !== "RIFF" || bytes.toString("latin1", 8, 12) !== "WEBP")
    return undefined;
  if (bytes.readUInt32LE(4) + 8 > bytes.length) return undefined; // a part is missing
  switch (bytes.toString("latin1", 12, 16)) {
    case "VP8 ":
      return bytes.readUIntBE(23, 3) === 0x9d012a
        ? [bytes.readUInt16LE(26) & 0x3fff, bytes.readUInt16LE(28) & 0x3fff]
        : undefined;
    case "VP8L": {
      const bits = bytes.readUInt32LE(21);
      return bytes[20] === 0x2f ? [(bits & 0x3fff) + 1, ((bits >> 14) & 0x3fff) + 1] : undefined;
    }
    case "VP8X":
      return [bytes.readUIntLE(24, 3) + 1, bytes.readUIntLE(27, 3) + 1];
    default:
      return undefined;
  }
}
