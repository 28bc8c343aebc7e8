/**
 * A period that changes in the middle of a load, for masters of several calendars at the same instant; each has a subaccount
 * whose limit is reached before the change, and again after it, and one without a limit.
 *
 * Statements are closed while the load goes on. Shared by time.faults.ts and time.test.ts; what must hold is in time-judge.ts.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { closeDue } from "../../src/metering/close-due.ts";
import { createClock } from "../../src/platform/clock.ts";
import type { Scene } from "../journeys/scene.ts";
import { readCharged } from "../support/ledger-rows.ts";
import { eventually } from "../support/relay.ts";
import { judge } from "./time-judge.ts";
import { type Change, LIMIT, nowOf, openBeforeTurn, type Stage, untilUsed } from "./time-stage.ts";

const HELD_BEFORE_MS = 250;
const HELD_AFTER_MS = 100;

/** The first period's statement: by the test, as soon as the period is over, or by the program's own job. */
export type Closes = "at once" | "by job";

/** What was done and seen, and what is wrong: none, if each unit is on the statement of its period. */
export async function changeUnderLoad(change: Change, closes: Closes = "at once") {
  const stage = await openBeforeTurn(change);
  const { scene, turn, loads } = stage;
  const stored = change.held ? await holdOverTurn(stage) : undefined;
  await until(turn, scene);
  const closing = closeFirst(stage, closes);
  await Promise.all([
    ...loads.map(({ limited }) => untilUsed(limited, 2 * LIMIT)),
    ...loads.map(({ free }) => free.more(50)),
    until(new Date(turn.getTime() + (change.goesOnMs ?? 0)), scene),
    closing,
  ]);
  await Promise.all(loads.flatMap(({ limited, free }) => [limited.stop(), free.stop()]));
  const result = await judge(stage, stored);
  return { ...result, stage, figures: { ...result.figures, "closed under load": await closing } };
}

const until = (at: Date, scene: Scene) => sleep(Math.max(0, at.getTime() - nowOf(scene)));

/** Locks the counters until the period has changed. Resolves to the ids of what was stored until they were free again. */
async function holdOverTurn({ scene, turn, accounts }: Stage): Promise<ReadonlySet<string>> {
  await until(new Date(turn.getTime() - HELD_BEFORE_MS), scene);
  const client = await scene.database.pool.connect();
  await client.query("begin");
  await client.query("select from usage where account_id = master_id order by account_id, period_start for update");
  await until(new Date(turn.getTime() + HELD_AFTER_MS), scene);
  const masters = accounts.map(({ limited }) => limited.masterId);
  const stored = new Set((await readCharged(scene.database, masters)).map(({ id }) => id));
  await client.query("commit");
  client.release();
  return stored;
}

/** How many statements were closed. */
async function closeFirst({ scene, accounts }: Stage, closes: Closes): Promise<number> {
  const { database, relay } = scene;
  if (closes === "at once") return closeDue(database.db, { clock: createClock(database.clockOffsetMs), graceMs: 0 });
  for (const { calendar, limited } of accounts) {
    const key = limited.masterKey;
    const path = `/v1/statements/${calendar.names[0]}`;
    const closed = async () =>
      (await relay.call("GET", path, undefined, { key })).body?.id?.startsWith("stm_") === true;
    await eventually(closed, "the job closes the statement", 10 * 60_000);
  }
  return accounts.length;
}
