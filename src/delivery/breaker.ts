/**
 * Leaves a peer alone that can't be reached: after some failures in a row nothing is tried for a while, then one probe.
 *
 * Invariant: while open, at most one connection is tried per pause; pauses double up to a bound; one success closes it.
 */
export type BreakerOptions = Readonly<{
  failures: number; // in a row, until it opens
  firstPauseMs: number;
  longestPauseMs: number;
  /** Milliseconds of a monotonic clock. */
  now: () => number;
  changed?: (open: boolean) => void;
}>;

export type Breaker = Readonly<{
  /** Whether a connection may be tried now. While open this takes the one probe: the caller must report how it went. */
  admit(): boolean;
  succeeded(): void;
  /** False: it says nothing new, since it was begun before the breaker opened. */
  failed(): boolean;
  isOpen(): boolean;
  /** Milliseconds until the next probe may start; 0 when closed. */
  pauseMs(): number;
}>;

export function createBreaker({ failures, firstPauseMs, longestPauseMs, now, changed }: BreakerOptions): Breaker {
  let inARow = 0;
  let open = false;
  let probing = false;
  let pauseMs = firstPauseMs;
  let probeAt = 0;
  const set = (value: boolean) => {
    if (open === value) return;
    open = value;
    changed?.(value);
  };
  return {
    admit() {
      if (!open) return true;
      if (probing || now() < probeAt) return false;
      probing = true;
      return true;
    },
    succeeded() {
      inARow = 0;
      probing = false;
      pauseMs = firstPauseMs;
      set(false);
    },
    failed() {
      inARow += 1;
      if (!open && inARow < failures) return true;
      if (open && !probing) return false;
      if (open) pauseMs = Math.min(pauseMs * 2, longestPauseMs);
      probing = false;
      probeAt = now() + pauseMs;
      set(true);
      return true;
    },
    isOpen: () => open,
    pauseMs: () => (open ? Math.max(0, probeAt - now()) : 0),
  };
}
