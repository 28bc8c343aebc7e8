/**
 * Redis is full or cold for a charge: the rows decide, and Redis is set right where it disagrees.
 *
 * On failure: what can't be asked is not known, and the message passes to the door.
 */
import type { Pool } from "pg";
import type { Log } from "../platform/log.ts";
import type { Metrics } from "../platform/metrics.ts";
import type { Breaker } from "./breaker.ts";
import type { Counted, Counters } from "./counters.ts";
import { type Charge, decide, RESERVED, type Reservation } from "./gate.ts";
import type { Memory } from "./memory.ts";
import { type Standings, standingsOf } from "./standing.ts";

export function isCounted(answer: Counted): answer is "counted" | "plenty" {
  return answer === "counted" || answer === "plenty";
}

export type ConfirmDeps = Readonly<{
  counters: Counters;
  breaker: Breaker;
  pool: Pool;
  memory: Memory;
  metrics: Pick<Metrics, "gateCold" | "gateConfirmed">;
  log: Log;
}>;

/** Of the monthly limits. */
export type NotCounted = Exclude<Counted, "counted" | "plenty" | "rate">;

/** What the rows say; "uncounted": the message passes, and Redis has not counted it. */
export async function confirm(charge: Charge, seen: NotCounted, deps: ConfirmDeps): Promise<Reservation | "uncounted"> {
  const { counters, breaker, memory, metrics } = deps;
  if (seen === "missing") metrics.gateCold.inc();
  else {
    const remembered = memory.refusal(charge);
    if (remembered !== undefined) return remembered;
  }
  const standings = await readRows(charge, deps);
  if (standings === undefined) return "uncounted";
  const { subaccount, master } = standings;
  memory.learn([subaccount, master]);
  const decision = decide(charge.units, subaccount, master, charge.guard?.transactional);
  metrics.gateConfirmed.inc({ result: decision.kind });
  if (decision !== RESERVED && seen !== "missing") return decision;
  try {
    await correct(counters, standings, seen);
    if (decision !== RESERVED) return decision;
    return isCounted(await counters.reserve(charge)) ? RESERVED : "uncounted";
  } catch (error) {
    breaker.failed(error);
    return decision === RESERVED ? "uncounted" : decision;
  }
}

async function readRows(charge: Charge, { pool, log }: ConfirmDeps): Promise<Standings | undefined> {
  try {
    return await standingsOf(pool, charge);
  } catch (error) {
    log.warn({ event: "quota.rows_unreadable", err: error }, "the usage rows could not be read: the door decides");
    return undefined;
  }
}

async function correct(counters: Counters, { subaccount, master }: Standings, seen: NotCounted): Promise<void> {
  const [seenSubaccount, seenMaster] = seen === "missing" ? ["", ""] : [seen.subaccount, seen.master];
  await counters.publish([
    { standing: subaccount, seen: seenSubaccount },
    { standing: master, seen: seenMaster },
  ]);
}
