/** A database of its own and a clock that both stand still until they are set: for what is reckoned to the second. */
import type { Clock } from "../../src/platform/clock.ts";
import { ensurePartitions } from "../../src/platform/partitions.ts";
import { type TestDatabase, testDatabase } from "./database.ts";

export type StoppedClock = TestDatabase & Readonly<{ set(at: Date | string): Promise<void> }>;

export async function stoppedClock(at: Date | string): Promise<StoppedClock> {
  const database = await testDatabase();
  let now = new Date(at);
  const clock: Clock = { offsetMs: 0, now: () => new Date(now) };
  await database.pool.query("create table stopped_clock (at timestamptz not null)");
  await database.pool.query("insert into stopped_clock values ($1)", [now]);
  await database.pool.query(
    "create or replace function pm_now() returns timestamptz language sql volatile as $$ select at from stopped_clock $$",
  );
  await ensurePartitions(database.db);
  return {
    ...database,
    clock,
    async set(instant) {
      now = new Date(instant);
      await database.pool.query("update stopped_clock set at = $1", [now]);
      await ensurePartitions(database.db);
    },
  };
}
