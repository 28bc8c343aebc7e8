/** The gate of this process: with Redis where there is one, else over Postgres alone. */
import type { Redis } from "ioredis";
import type { Clock } from "../platform/clock.ts";
import type { Database } from "../platform/database.ts";
import type { AccountId } from "../platform/ids.ts";
import type { Log } from "../platform/log.ts";
import type { Metrics } from "../platform/metrics.ts";
import { createBreaker } from "./breaker.ts";
import { type Counters, createCounters } from "./counters.ts";
import type { Gate } from "./gate.ts";
import { createMemory } from "./memory.ts";
import { createPostgresGate } from "./postgres-gate.ts";
import { createRates } from "./rates.ts";
import { createRedisGate } from "./redis-gate.ts";

export type GateDeps = Readonly<{
  /** Stays the caller's: disposing of the gate does not close it. */
  redis?: Redis;
  database: Pick<Database, "pool">;
  metrics: Pick<Metrics, "gateSeconds" | "gateCold" | "gateConfirmed" | "gateBreakerOpen">;
  log: Log;
  clock: Clock;
  probeEveryMs?: number;
}>;

/** The gate of this process, with what only its own process needs. */
export type ProcessGate = Gate &
  Readonly<{
    /** An account was changed by another process; without an id: any may have been. */
    forget(accountId?: AccountId): void;
    /** For reconcile; undefined without Redis. */
    counters: Counters | undefined;
  }>;

export function createGate({ redis, database, metrics, log, clock, probeEveryMs }: GateDeps): ProcessGate {
  const { pool } = database;
  const memory = createMemory();
  const rates = createRates({ pool, log });
  const without = createPostgresGate({ pool, memory, rates, log });
  if (redis === undefined) return { ...timed(without, metrics), forget: memory.forget, counters: undefined };
  const counters = createCounters(redis, clock.offsetMs);
  metrics.gateBreakerOpen.set(0);
  const breaker = createBreaker({
    probe: () => counters.probe(),
    onOpen: (error) => {
      metrics.gateBreakerOpen.set(1);
      log.warn({ event: "quota.breaker_opened", err: error }, "Redis fails: Postgres decides alone");
    },
    onClose: (openMs) => {
      metrics.gateBreakerOpen.set(0);
      log.info({ event: "quota.breaker_closed", openMs: Math.round(openMs) }, "Redis works again");
    },
    ...(probeEveryMs === undefined ? {} : { probeEveryMs }),
  });
  const gate = createRedisGate({ counters, breaker, without, rates, pool, memory, metrics, log });
  return { ...timed(gate, metrics), forget: memory.forget, counters };
}

function timed(gate: Gate, { gateSeconds }: Pick<Metrics, "gateSeconds">): Gate {
  return {
    ...gate,
    async reserve(charge) {
      const startedAtMs = performance.now();
      const reservation = await gate.reserve(charge);
      gateSeconds.observe((performance.now() - startedAtMs) / 1000);
      return reservation;
    },
  };
}
