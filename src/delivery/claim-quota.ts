/**
 * How many claimed messages are held. Half of the room is for whoever comes; when that stays full, which means that some
 * peers are slow, the other half is for messages to peers that hold little.
 *
 * Invariant: peers that hang can't take all of the room, as long as they are fewer than eight.
 */
export type ClaimQuota = Readonly<{
  /** How many more to ask for. */
  room(): number;
  /** Below this much room it is not worth asking. */
  worthwhile: number;
  took(messages: number): void;
  /** Whether a peer that holds this many must let others pass. */
  isCrowded(load: number): boolean;
}>;

const STUCK_MS = 2_000;

export function createClaimQuota(limit: number, now: () => number = () => performance.now()): ClaimQuota {
  const half = Math.ceil(limit / 2);
  const worthwhile = Math.ceil(limit / 8);
  const share = Math.ceil(limit / 16);
  let held = 0;
  let fullSince: number | undefined;
  return {
    room() {
      const free = half - held;
      if (free >= worthwhile) {
        fullSince = undefined;
        return free;
      }
      fullSince ??= now();
      if (now() - fullSince < STUCK_MS) return Math.max(0, free);
      fullSince = undefined;
      return Math.max(0, limit - held);
    },
    worthwhile,
    took(messages) {
      held += messages;
    },
    isCrowded: (load) => held >= half && load >= share,
  };
}
