/**
 * Bytes as they arrived, kept by reference. Many small pieces are joined, so that a client that sends byte by byte costs
 * no more memory than its bytes.
 */
export interface Pieces {
  push(piece: Buffer): void;
  /** Takes all out as one buffer; no copy where it is one piece. */
  join(): Buffer;
  /** Takes the first `length` bytes out. */
  take(length: number): Buffer;
  /** Takes all out as they are. */
  drain(): Buffer[];
  readonly bytes: number;
}

const LOOSE = 64;
const SMALL = 4096;

export function createPieces(): Pieces {
  let pieces: Buffer[] = [];
  let loose = 0; // small pieces at the end
  let bytes = 0;

  function drain(): Buffer[] {
    const all = pieces;
    pieces = [];
    loose = 0;
    bytes = 0;
    return all;
  }

  function join(): Buffer {
    const all = drain();
    return all.length === 1 ? (all[0] as Buffer) : Buffer.concat(all);
  }

  function push(piece: Buffer): void {
    if (piece.length === 0) return;
    pieces.push(piece);
    bytes += piece.length;
    loose = piece.length < SMALL ? loose + 1 : 0;
    if (loose === LOOSE) {
      pieces.push(Buffer.concat(pieces.splice(-LOOSE)));
      loose = 0;
    }
  }

  return {
    push,
    join,
    drain,
    take(length) {
      const all = join();
      push(all.subarray(length));
      return all.subarray(0, length);
    },
    get bytes() {
      return bytes;
    },
  };
}
