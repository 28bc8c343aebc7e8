/**
 * The body of a message as it is stored: part 0 in memory, what is more written ahead part by part (spool/stage).
 *
 * Invariant: memory holds part 0 and what is not yet written of the next part.
 */
import { PART_BYTES, PART_ZERO_BYTES } from "../spool/message.ts";
import type { Stage } from "../spool/stage.ts";
import { createPieces } from "./pieces.ts";

export type Stored = Readonly<{ partZero: readonly Buffer[]; bodyParts: number; sizeBytes: number }>;

export interface Parts {
  push(piece: Buffer): void;
  /** True when `flush` has to be awaited before more is pushed. */
  readonly full: boolean;
  /** Writes the parts that are complete. */
  flush(): Promise<void>;
  /** Writes the rest. */
  end(): Promise<Stored>;
  /** Forgets all, and removes what was written. */
  discard(): Promise<void>;
  readonly sizeBytes: number;
  /** In memory, what is being written included. */
  readonly heldBytes: number;
}

export function createParts(openStage: () => Stage): Parts {
  const partZero = createPieces();
  const ahead = createPieces();
  let stage: Stage | undefined;
  let sizeBytes = 0;
  let writing = 0;

  function push(piece: Buffer): void {
    sizeBytes += piece.length;
    const room = stage === undefined ? PART_ZERO_BYTES - partZero.bytes : 0;
    partZero.push(piece.subarray(0, room));
    if (piece.length <= room) return;
    stage ??= openStage();
    ahead.push(room === 0 ? piece : piece.subarray(room));
  }

  async function flush(): Promise<void> {
    while (ahead.bytes >= PART_BYTES) await write(ahead.take(PART_BYTES));
  }

  async function write(part: Buffer): Promise<void> {
    writing = part.length;
    try {
      await stage?.write(part);
    } finally {
      writing = 0;
    }
  }

  return {
    push,
    flush,
    get full() {
      return ahead.bytes >= PART_BYTES;
    },
    async end() {
      await flush();
      if (ahead.bytes > 0) await write(ahead.join());
      return { partZero: partZero.drain(), bodyParts: 1 + (stage?.parts ?? 0), sizeBytes };
    },
    async discard() {
      partZero.drain();
      ahead.drain();
      await stage?.discard();
    },
    get sizeBytes() {
      return sizeBytes;
    },
    get heldBytes() {
      return partZero.bytes + ahead.bytes + writing;
    },
  };
}
