/**
 * The gate with Redis: one round trip for a message that fits.
 *
 * Invariant: a refusal always comes from the usage rows. Where Redis says "full" and the rows see room, the rows are
 * published and the message passes; where Redis knows nothing (flushed, restarted, evicted), the rows fill it.
 * On failure: an error or a timeout of Redis opens the breaker; until it works again the gate without Redis decides.
 */
import type { Pool } from "pg";
import type { Log } from "../platform/log.ts";
import type { Metrics } from "../platform/metrics.ts";
import type { Breaker } from "./breaker.ts";
import type { Counted, Counters, Publication } from "./counters.ts";
import { type Charge, decide, type Gate, RESERVED, type Reservation, type Standing } from "./gate.ts";
import type { Memory } from "./memory.ts";
import { type Standings, standingsOf } from "./standing.ts";

type NotCounted = Exclude<Counted, "counted">;

export type RedisGateDeps = Readonly<{
  counters: Counters;
  breaker: Breaker;
  /** Decides while Redis is away. */
  without: Gate;
  pool: Pool;
  memory: Memory;
  metrics: Pick<Metrics, "gateCold" | "gateConfirmed">;
  log: Log;
}>;

export function createRedisGate({ counters, breaker, without, pool, memory, metrics, log }: RedisGateDeps): Gate {
  /** Charges that Redis has not counted: there is nothing to give back. */
  const uncounted = new WeakSet<Charge>();

  function pass(charge: Charge): Reservation {
    uncounted.add(charge);
    return RESERVED;
  }

  async function reserveWithout(charge: Charge): Promise<Reservation> {
    uncounted.add(charge);
    return without.reserve(charge);
  }

  /** Redis is full or cold for this charge: the rows decide. */
  async function confirm(charge: Charge, seen: NotCounted): Promise<Reservation> {
    if (seen === "missing") metrics.gateCold.inc();
    const remembered = seen === "missing" ? undefined : memory.refusal(charge);
    if (remembered !== undefined) return remembered;
    let standings: Standings | undefined;
    try {
      standings = await standingsOf(pool, charge);
    } catch (error) {
      log.warn({ event: "quota.rows_unreadable", err: error }, "the usage rows could not be read: the door decides");
    }
    if (standings === undefined) return pass(charge);
    const { subaccount, master } = standings;
    memory.learn([subaccount, master]);
    const decision = decide(charge.units, subaccount, master);
    metrics.gateConfirmed.inc({ result: decision.kind });
    if (decision !== RESERVED && seen !== "missing") return decision;
    try {
      await correct(standings, seen);
      if (decision !== RESERVED) return decision;
      return (await counters.reserve(charge)) === "counted" ? RESERVED : pass(charge);
    } catch (error) {
      breaker.failed(error);
      return decision === RESERVED ? pass(charge) : decision;
    }
  }

  async function correct({ subaccount, master }: Standings, seen: NotCounted): Promise<void> {
    const [seenSubaccount, seenMaster] = seen === "missing" ? ["", ""] : [seen.subaccount, seen.master];
    await counters.publish([
      { standing: subaccount, seen: seenSubaccount },
      { standing: master, seen: seenMaster },
    ]);
  }

  return {
    async reserve(charge) {
      if (breaker.open) return reserveWithout(charge);
      let answer: Counted;
      try {
        answer = await counters.reserve(charge);
      } catch (error) {
        breaker.failed(error);
        return reserveWithout(charge);
      }
      return answer === "counted" ? RESERVED : confirm(charge, answer);
    },
    async release(charge) {
      if (uncounted.delete(charge)) return without.release(charge);
      // Where the door has said "full", its rows were published and have replaced what was counted.
      if (breaker.open || memory.refusal(charge) !== undefined) return;
      await counters.release(charge).catch((error: unknown) => breaker.failed(error));
    },
    async publish(standings) {
      memory.learn(standings);
      if (breaker.open) return;
      try {
        await Promise.all(byHash(standings).map((publications) => counters.publish(publications)));
      } catch (error) {
        breaker.failed(error);
      }
    },
    async [Symbol.asyncDispose]() {
      breaker[Symbol.dispose]();
    },
  };
}

function byHash(standings: readonly Standing[]): Publication[][] {
  const groups = Map.groupBy(standings, (s) => `${s.masterId} ${s.periodStart.getTime()}`);
  return [...groups.values()].map((group) => group.map((standing) => ({ standing })));
}
