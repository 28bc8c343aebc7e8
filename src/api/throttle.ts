/**
 * Wrong API keys, counted by client network (an IPv4 address, a /64 of IPv6), so that guessing is slow and heard of.
 *
 * Invariant: bounded; only wrong keys are counted and only they are told to wait, so nobody who has a key is locked out.
 */

export interface KeyThrottle {
  /** Counts a wrong key. Returns for how many seconds the network has to wait before it is told "wrong" again; 0: it is told. */
  failed(network: string): number;
}

export const MAX_FAILURES = 20;
const MINUTE_MS = 60_000;
const MAX_NETWORKS = 10_000;

/** @param nowMs monotonic */
export function createKeyThrottle(nowMs: () => number = () => performance.now()): KeyThrottle {
  const networks = new Map<string, { failures: number; untilMs: number }>();

  return {
    failed(network) {
      const now = nowMs();
      const known = networks.get(network);
      if (known !== undefined && now < known.untilMs) {
        if (known.failures >= MAX_FAILURES) return Math.ceil((known.untilMs - now) / 1000);
        known.failures += 1;
        if (known.failures === MAX_FAILURES) known.untilMs = now + MINUTE_MS;
        return 0;
      }
      networks.delete(network); // the oldest stands first
      networks.set(network, { failures: 1, untilMs: now + MINUTE_MS });
      for (const oldest of networks.keys()) {
        if (networks.size <= MAX_NETWORKS) break;
        networks.delete(oldest);
      }
      return 0;
    },
  };
}
