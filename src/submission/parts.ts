/**
 * The body of a message as it is stored: part 0 in memory, what is more written ahead part by part (spool/stage).
 *
 * Invariant: memory holds part 0 and what is not yet written of the next part.
 */
import { PART_BYTES, PART_ZERO_BYTES } from "../spool/message.ts";
import type { Stage } from "../spool/stage.ts";
import { createPieces } from "./pieces.ts";
import { createFilled, type Filled, type Slabs } from "./slabs.ts";

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

export function createParts(openStage: () => Stage, slabs: Slabs): Parts {
  return new StoredParts(openStage, slabs);
}

class StoredParts implements Parts {
  sizeBytes = 0;
  readonly #openStage: () => Stage;
  readonly #partZero = createPieces();
  readonly #ahead: Filled;
  #stage: Stage | undefined;
  #writing = 0;

  constructor(openStage: () => Stage, slabs: Slabs) {
    this.#openStage = openStage;
    this.#ahead = createFilled(slabs);
  }

  push(piece: Buffer): void {
    this.sizeBytes += piece.length;
    const room = this.#stage === undefined ? PART_ZERO_BYTES - this.#partZero.bytes : 0;
    this.#partZero.push(piece.length <= room ? piece : piece.subarray(0, room));
    if (piece.length <= room) return;
    this.#stage ??= this.#openStage();
    this.#ahead.push(room === 0 ? piece : piece.subarray(room));
  }

  get full(): boolean {
    return this.#ahead.bytes >= PART_BYTES;
  }

  async flush(): Promise<void> {
    while (this.full) await this.#write(PART_BYTES);
  }

  async end(): Promise<Stored> {
    if (this.#ahead.bytes > 0) await this.#writeRest();
    return { partZero: this.#partZero.drain(), bodyParts: 1 + (this.#stage?.parts ?? 0), sizeBytes: this.sizeBytes };
  }

  async discard(): Promise<void> {
    this.#partZero.drain();
    this.#ahead.drop();
    await this.#stage?.discard();
  }

  get heldBytes(): number {
    return this.#partZero.bytes + this.#ahead.heldBytes + this.#writing;
  }

  async #writeRest(): Promise<void> {
    await this.flush();
    if (this.#ahead.bytes > 0) await this.#write(this.#ahead.bytes);
  }

  /** The slabs go to the server as they are. Those of a write that failed may still be on their way, and are not used again. */
  async #write(bytes: number): Promise<void> {
    const { pieces, giveBack } = this.#ahead.take(bytes);
    this.#writing = bytes;
    try {
      await this.#stage?.write(pieces);
      giveBack();
    } finally {
      this.#writing = 0;
    }
  }
}
