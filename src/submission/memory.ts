/**
 * The memory of all messages that are being received, over all sessions of the process.
 *
 * Invariant: what sessions hold beyond a small floor each stays below the budget, and those of one owner below half of it,
 * but for one chunk of each and for the few that are favoured; one owner alone never leaves the others without room. A session that has to wait goes on in the end, whoever else
 * stalls: up to FAVOURED of those that wait may grow whatever is held, and while somebody waits longer than PATIENCE_MS, who
 * holds memory and has sent less than SLOWEST_BYTES in WINDOW_MS is cut off. Time in which a client waits for us does not
 * count as its own, and while nobody waits slowness is no fault.
 */

export interface Memory {
  /** One message's share. To be closed when nothing of it is held any more. `cut`: its client is too slow, and others wait. */
  open(owner: string, cut: () => void): Share;
  /** Finds those who are too slow. To be called about every second. */
  look(): void;
  /** What all hold beyond their floors. */
  readonly heldBytes: number;
}

export interface Share {
  /** Says what is held now, of which `newBytes` have just come. False: there is no room to grow, and `room` is to be waited for. */
  hold(bytes: number, newBytes: number): boolean;
  /** Resolves when the next chunk may be taken; at once when the share is closed. */
  room(): Promise<void>;
  /** From now on the client waits for us, until `resume`. */
  pause(): void;
  resume(): void;
  close(): void;
}

const FLOOR_BYTES = 32 * 1024;
const CHUNK_BYTES = 64 * 1024; // what a session is about to take when it goes on
const FAVOURED = 8;
const PATIENCE_MS = 2_000;
const WINDOW_MS = 3_000;
const SLOWEST_BYTES = 32 * 1024; // about 90 kbit/s

export function createMemory(maxBytes: number, now: () => number = () => performance.now()): Memory {
  return new Budget(maxBytes, now);
}

class Budget implements Memory {
  heldBytes = 0;
  readonly now: () => number;
  readonly #maxBytes: number;
  /** heldBytes, without what an owner holds beyond its half: the first chunks of its many sessions. */
  #charged = 0;
  readonly #open = new Set<Held>();
  readonly #byOwner = new Map<string, number>();
  readonly #favoured = new Set<Held>();
  /** In the order of asking, with when they did. */
  readonly #waiting = new Map<Held, number>();

  constructor(maxBytes: number, now: () => number) {
    this.#maxBytes = maxBytes;
    this.now = now;
  }

  open(owner: string, cut: () => void): Share {
    const share = new Held(this, owner, cut);
    this.#open.add(share);
    return share;
  }

  look(): void {
    const now = this.now();
    const [longest = now] = this.#waiting.values();
    const wanted = now - longest >= PATIENCE_MS;
    for (const share of this.#open) {
      if (!share.slow(now) || !wanted) continue;
      share.pause(); // once is enough
      share.cut();
    }
  }

  mayGrow(share: Held): boolean {
    return this.#roomFor(share) || this.#favoured.has(share);
  }

  count(share: Held, change: number): void {
    const before = this.#byOwner.get(share.owner) ?? 0;
    const own = before + change;
    if (own > 0) this.#byOwner.set(share.owner, own);
    else this.#byOwner.delete(share.owner);
    this.heldBytes += change;
    this.#charged += Math.min(own, this.#maxBytes / 2) - Math.min(before, this.#maxBytes / 2);
    if (change < 0) this.#serve();
  }

  wait(share: Held): void {
    this.#waiting.set(share, this.now());
    this.#serve();
  }

  leave(share: Held): void {
    this.#open.delete(share);
    this.#waiting.delete(share);
    this.#favoured.delete(share);
    this.#serve();
  }

  #roomFor({ owner }: Held): boolean {
    return this.#charged < this.#maxBytes && (this.#byOwner.get(owner) ?? 0) < this.#maxBytes / 2;
  }

  #serve(): void {
    for (let share = this.#neediest(); share !== undefined; share = this.#neediest()) {
      if (!this.#roomFor(share)) {
        if (this.#favoured.size >= FAVOURED) return; // the others that wait have no room either: theirs hold more
        this.#favoured.add(share);
      }
      this.#waiting.delete(share);
      share.go();
    }
  }

  /** Of the owner that holds least, the first to ask: a crowd of one owner does not stand before another's message. */
  #neediest(): Held | undefined {
    let found: Held | undefined;
    let least = Number.POSITIVE_INFINITY;
    for (const share of this.#waiting.keys()) {
      const own = this.#byOwner.get(share.owner) ?? 0;
      if (own < least) [found, least] = [share, own];
    }
    return found;
  }
}

class Held implements Share {
  readonly owner: string;
  readonly cut: () => void;
  readonly #budget: Budget;
  #said = 0;
  #counted = 0; // beyond the floor
  #closed = false;
  #go: (() => void) | undefined;
  /** Since when the client's rate is watched; undefined: it waits for us. */
  #sinceMs: number | undefined;
  #newBytes = 0;

  constructor(budget: Budget, owner: string, cut: () => void) {
    this.#budget = budget;
    this.owner = owner;
    this.cut = cut;
    this.#sinceMs = budget.now();
  }

  hold(bytes: number, newBytes: number): boolean {
    const grown = bytes > this.#said;
    this.#said = bytes;
    this.#newBytes += newBytes;
    if (this.#closed) return true;
    this.#count(bytes);
    return !grown || this.#counted === 0 || this.#budget.mayGrow(this);
  }

  room(): Promise<void> {
    if (this.#closed) return Promise.resolve();
    return new Promise((resolve) => {
      this.#go = resolve;
      this.#budget.wait(this);
    });
  }

  /** It may go on. */
  go(): void {
    if (!this.#closed) this.#count(this.#said + CHUNK_BYTES);
    this.#go?.();
  }

  pause(): void {
    this.#sinceMs = undefined;
  }

  resume(): void {
    this.#sinceMs = this.#budget.now();
    this.#newBytes = 0;
  }

  /** It holds something, and its client sent next to nothing in the window that is over now. */
  slow(now: number): boolean {
    if (this.#sinceMs === undefined || now - this.#sinceMs < WINDOW_MS) return false;
    const slow = this.#newBytes < SLOWEST_BYTES;
    // Who was slow stays so until it has sent enough: it is not known yet that somebody will wait.
    if (!slow) this.resume();
    return slow && this.#counted > 0;
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#count(0);
    this.#budget.leave(this);
    this.#go?.();
  }

  #count(bytes: number): void {
    const beyond = Math.max(0, bytes - FLOOR_BYTES);
    const change = beyond - this.#counted;
    this.#counted = beyond;
    if (change !== 0) this.#budget.count(this, change);
  }
}
