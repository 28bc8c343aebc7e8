/**
 * Bytes as they arrived, kept by reference. Many small pieces are joined, so that a client that sends byte by byte costs
 * no more memory than its bytes.
 */
export interface Pieces {
  push(piece: Buffer): void;
  /** Takes all out as one buffer; no copy where it is one piece. */
  join(): Buffer;
  /** Takes all out as they are. */
  drain(): Buffer[];
  readonly bytes: number;
}

const LOOSE = 64;
const SMALL = 4096;

export function createPieces(): Pieces {
  return new Kept();
}

class Kept implements Pieces {
  bytes = 0;
  #pieces: Buffer[] = [];
  #loose = 0; // small pieces at the end

  push(piece: Buffer): void {
    if (piece.length === 0) return;
    this.#pieces.push(piece);
    this.bytes += piece.length;
    this.#loose = piece.length < SMALL ? this.#loose + 1 : 0;
    if (this.#loose === LOOSE) {
      this.#pieces.push(Buffer.concat(this.#pieces.splice(-LOOSE)));
      this.#loose = 0;
    }
  }

  join(): Buffer {
    const all = this.drain();
    return all.length === 1 ? (all[0] as Buffer) : Buffer.concat(all);
  }

  drain(): Buffer[] {
    const all = this.#pieces;
    this.#pieces = [];
    this.#loose = 0;
    this.bytes = 0;
    return all;
  }
}
