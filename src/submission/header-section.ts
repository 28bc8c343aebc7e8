/** The header section while it arrives: found by its blank line, wherever the chunks are cut, and bounded. */
import { createPieces } from "./pieces.ts";

/** `rest` is what follows the blank line in the piece that brought it. */
export type Section = Readonly<{ fields: Buffer; rest: Buffer }>;

export interface HeaderSection {
  /** The section when the piece completes it, "too-long", or undefined while it goes on. */
  push(piece: Buffer): Section | "too-long" | undefined;
  /** What has come so far, when the message ends without a blank line. */
  take(): Buffer;
  readonly bytes: number;
}

const CR = 0x0d;
const LF = 0x0a;
const LINE_END = Buffer.from("\r\n");
const SECTION_END = Buffer.from("\r\n\r\n");

/** @param maxBytes of the fields, without the blank line. */
export function createHeaderSection(maxBytes: number): HeaderSection {
  return new Gathered(maxBytes);
}

class Gathered implements HeaderSection {
  readonly #pieces = createPieces();
  readonly #maxBytes: number;
  #seam: Buffer = LINE_END; // the last three bytes; before the first line stands a line end that nobody sent

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  push(piece: Buffer): Section | "too-long" | undefined {
    const end = sectionEnd(this.#seam, piece);
    if (this.#pieces.bytes + (end ?? piece.length) > this.#maxBytes) return "too-long";
    this.#pieces.push(end === undefined ? piece : piece.subarray(0, Math.max(0, end)));
    if (end === undefined) {
      this.#seam = Buffer.concat([this.#seam, piece.subarray(-3)]).subarray(-3);
      return undefined;
    }
    const all = this.#pieces.join();
    return { fields: all.subarray(0, all.length + Math.min(0, end)), rest: piece.subarray(end + 2) };
  }

  take(): Buffer {
    return this.#pieces.join();
  }

  get bytes(): number {
    return this.#pieces.bytes;
  }
}

/**
 * Where in the piece the fields end and the blank line begins; negative when that is before it. Undefined when there is
 * no blank line yet. `seam` is what came just before the piece.
 */
function sectionEnd(seam: Buffer, piece: Buffer): number | undefined {
  if (piece[0] === CR || piece[0] === LF) {
    const across = Buffer.concat([seam, piece.subarray(0, 3)]).indexOf(SECTION_END);
    if (across >= 0) return across - seam.length + 2;
  }
  const inside = piece.indexOf(SECTION_END);
  return inside < 0 ? undefined : inside + 2;
}
