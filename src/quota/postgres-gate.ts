/**
 * The gate without Redis: asks the usage rows, at most once a second for an account that has room enough.
 *
 * It counts nothing that another process could see: what two processes let through at once is decided at the door.
 * On failure: the message passes; the door decides.
 */
import type { Pool } from "pg";
import type { Log } from "../platform/log.ts";
import { decide, type Gate, RESERVED } from "./gate.ts";
import type { Memory } from "./memory.ts";
import type { Rates } from "./rates.ts";
import { standingsOf } from "./standing.ts";

export type PostgresGateDeps = Readonly<{ pool: Pool; memory: Memory; rates: Rates; log: Log }>;

export function createPostgresGate({ pool, memory, rates, log }: PostgresGateDeps): Gate {
  return {
    async reserve(charge) {
      const refusal = memory.refusal(charge) ?? rates.refusal(charge);
      if (refusal !== undefined) return refusal;
      if (memory.take(charge)) return RESERVED;
      try {
        const standings = await standingsOf(pool, charge);
        if (standings === undefined) return RESERVED;
        const { subaccount, master } = standings;
        memory.learn([subaccount, master]);
        const decision = decide(charge.units, subaccount, master, charge.guard?.transactional);
        if (decision !== RESERVED) return decision;
        const full = await rates.askNowAndThen(charge);
        if (full === undefined) memory.take(charge);
        return full ?? RESERVED;
      } catch (error) {
        log.warn({ event: "quota.rows_unreadable", err: error }, "the usage rows could not be read: the door decides");
        return RESERVED;
      }
    },
    async release(charge) {
      memory.giveBack(charge);
    },
    rateReached: (charge) => rates.ask(charge, "full"),
    async publish(standings) {
      memory.learn(standings);
    },
    async [Symbol.asyncDispose]() {},
  };
}
