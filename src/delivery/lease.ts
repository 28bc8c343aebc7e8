/**
 * The leases of what this process holds: one renewal statement for all of them, every third of their length.
 *
 * Invariant: nothing is begun whose lease has run out by our own clock, or that a renewal has found in other hands.
 * On failure: a renewal that does not come through extends nothing; what has not begun by the end of its lease is dropped.
 */
import type { MessageId } from "../platform/ids.ts";
import type { Log } from "../platform/log.ts";
import type { Task } from "../spool/message.ts";
import type { Held } from "./parcel.ts";

export type LeaseOptions = Readonly<{
  renew(tasks: readonly Task[]): Promise<ReadonlySet<MessageId>>;
  leaseMs: number;
  /** A message was dropped; what is waiting of it is passed over. */
  lost(held: Held): void;
  log: Log;
}>;

export type Leases = Readonly<{
  add(held: Held): void;
  /** False: it must not be begun (any more). */
  begin(held: Held): boolean;
  /** Settled or given back. */
  end(held: Held): void;
  renewNow(): Promise<void>;
  held(): Iterable<Held>;
  size(): number;
}> &
  Disposable;

/** What is begun shortly before the end of its lease would be sent after it. */
const MARGIN_MS = 2_000;

export function startLeases({ renew, leaseMs, lost, log }: LeaseOptions): Leases {
  const all = new Map<MessageId, Held>();
  let renewing = false;

  function drop(held: Held): void {
    held.state = "lost";
    all.delete(held.task.id);
    lost(held);
  }

  async function renewNow(): Promise<void> {
    if (renewing || all.size === 0) return;
    renewing = true;
    const holding = [...all.values()];
    const from = performance.now();
    try {
      const ours = await renew(holding.map((held) => held.task));
      for (const held of holding) {
        if (ours.has(held.task.id)) held.leasedUntilMs = from + leaseMs;
        else if (held.state === "waiting" && all.get(held.task.id) === held) drop(held);
      }
    } catch (error) {
      log.warn({ event: "lease.renewal_failed", held: holding.length, err: error }, "leases could not be renewed");
    } finally {
      renewing = false;
    }
  }

  const timer = setInterval(() => void renewNow(), leaseMs / 3);
  timer.unref();
  return {
    add: (held) => all.set(held.task.id, held),
    begin(held) {
      if (held.state === "lost") return false;
      const now = performance.now();
      if (held.state === "begun") return true;
      if (now > held.leasedUntilMs - Math.min(MARGIN_MS, leaseMs / 10)) {
        drop(held);
        return false;
      }
      held.state = "begun";
      held.begunAtMs = now;
      return true;
    },
    end(held) {
      if (all.get(held.task.id) === held) all.delete(held.task.id);
    },
    renewNow,
    held: () => all.values(),
    size: () => all.size,
    [Symbol.dispose]: () => clearInterval(timer),
  };
}
