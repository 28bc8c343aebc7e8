/**
 * Memory for what waits to be written ahead: slabs of one size that are used again.
 *
 * What is kept by reference while a session waits gets old, and old garbage is collected late: of 200 large messages at
 * once it came to 150 MB. A copy into a slab lets the socket's chunk die young, and the slab serves the next one.
 */
export const SLAB_BYTES = 64 * 1024;

const MAX_SPARE = 64; // 4 MiB, beside the budget

export interface Slabs {
  take(): Buffer;
  /** Nothing may read or write it from then on. */
  give(slab: Buffer): void;
}

export function createSlabs(): Slabs {
  const spare: Buffer[] = [];
  return {
    take: () => spare.pop() ?? Buffer.allocUnsafeSlow(SLAB_BYTES),
    give(slab) {
      if (spare.length < MAX_SPARE) spare.push(slab);
    },
  };
}

/** Bytes in the order in which they came, in slabs. */
export interface Filled {
  push(piece: Buffer): void;
  /** Takes the first bytes out: whole slabs' worth of them, or all. */
  take(bytes: number): Taken;
  drop(): void;
  readonly bytes: number;
  /** What its slabs take. */
  readonly heldBytes: number;
}

/** `giveBack`: nobody reads the pieces any more. Not to be called when that is not sure. */
export type Taken = Readonly<{ pieces: readonly Buffer[]; giveBack(): void }>;

export function createFilled(slabs: Slabs): Filled {
  return new FilledSlabs(slabs);
}

class FilledSlabs implements Filled {
  bytes = 0;
  readonly #pool: Slabs;
  #slabs: Buffer[] = []; // all full but the last

  constructor(pool: Slabs) {
    this.#pool = pool;
  }

  push(piece: Buffer): void {
    for (let from = 0; from < piece.length; ) {
      const at = this.bytes % SLAB_BYTES;
      if (at === 0) this.#slabs.push(this.#pool.take());
      const copied = piece.copy(this.#slabs.at(-1) as Buffer, at, from);
      from += copied;
      this.bytes += copied;
    }
  }

  take(bytes: number): Taken {
    const slabs = this.#slabs.splice(0, Math.ceil(bytes / SLAB_BYTES));
    this.bytes -= bytes;
    return {
      pieces: slabs.map((slab, i) => slab.subarray(0, bytes - i * SLAB_BYTES)),
      giveBack: () => {
        for (const slab of slabs) this.#pool.give(slab);
      },
    };
  }

  drop(): void {
    for (const slab of this.#slabs.splice(0)) this.#pool.give(slab);
    this.bytes = 0;
  }

  get heldBytes(): number {
    return this.#slabs.length * SLAB_BYTES;
  }
}
