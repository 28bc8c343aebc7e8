/**
 * Fetches due mail: what was deferred, what found no room in memory, what a dead node held.
 *
 * Invariant: at most `room()` messages are asked for; tenants are served in turn (spool/claim walks them by a cursor).
 * When nothing comes it asks less and less often, and at once again when woken.
 */
import { BEFORE_ALL, type SubaccountId } from "../platform/ids.ts";
import type { Log } from "../platform/log.ts";
import type { Claimed } from "../spool/claim.ts";
import type { Task } from "../spool/message.ts";

export type ClaimOptions = Readonly<{
  claim(asked: { limit: number; perTenant: number; cursor: SubaccountId }): Promise<Claimed>;
  /** How many more may be held. */
  room(): number;
  /** Below this much room it is not worth asking. */
  worthwhile: number;
  /** How many of them can be worked on: the others were given back. */
  take(tasks: readonly Task[]): Promise<number>;
  shortestPauseMs: number;
  longestPauseMs: number;
  log: Log;
}>;

export type Claims = Readonly<{
  /** Something may be due, or there is room again. */
  wake(): void;
  /** Resolves when no claim is under way any more. */
  stop(): Promise<void>;
}>;

const PER_TENANT = 4;

export function startClaims(options: ClaimOptions): Claims {
  const { claim, room, worthwhile, take, shortestPauseMs, longestPauseMs, log } = options;
  let cursor: SubaccountId = BEFORE_ALL;
  let perTenant = PER_TENANT;
  let pauseMs = shortestPauseMs;
  let stopped = false;
  let woken = false;
  let wakeUp: (() => void) | undefined;

  /** Until woken, at the latest after `ms`; not before `atLeastMs`. */
  async function sleep(ms: number, atLeastMs: number): Promise<void> {
    const asleep = (forMs: number, wakeable: boolean) =>
      new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, forMs);
        wakeUp = () => {
          if (!wakeable && !stopped) return;
          clearTimeout(timer);
          resolve();
        };
      });
    if (atLeastMs > 0 && !stopped) await asleep(atLeastMs, false);
    if (!woken && !stopped) await asleep(ms, true);
  }

  async function round(): Promise<"more" | "nothing" | "no room"> {
    const limit = room();
    if (limit < worthwhile) return "no room";
    const { tasks, cursor: next } = await claim({ limit, perTenant, cursor });
    const walked = next === BEFORE_ALL;
    cursor = next;
    const taken = tasks.length === 0 ? 0 : await take(tasks);
    const thin = tasks.length < limit;
    perTenant = thin && taken > 0 ? Math.min(perTenant * 2, limit) : PER_TENANT;
    return taken > 0 || (thin && !walked) ? "more" : "nothing";
  }

  async function run(): Promise<void> {
    while (!stopped) {
      woken = false;
      const found = await round().catch((error: unknown) => {
        pauseMs = longestPauseMs;
        log.warn({ event: "claim.failed", err: error }, "due mail could not be claimed");
        return "nothing" as const;
      });
      if (found === "more") pauseMs = shortestPauseMs;
      else {
        await sleep(pauseMs, found === "nothing" ? shortestPauseMs : 0);
        pauseMs = woken ? shortestPauseMs : Math.min(pauseMs * 2, longestPauseMs);
      }
    }
  }

  const running = run();
  return {
    wake() {
      woken = true;
      wakeUp?.();
    },
    async stop() {
      stopped = true;
      wakeUp?.();
      await running;
    },
  };
}
