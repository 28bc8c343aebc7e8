/** The end of a period in the middle of a load: each message belongs to one period, and the limit starts anew. */
import { expect, test } from "vitest";
import { closeDue } from "../../src/metering/close.ts";
import { createClock } from "../../src/platform/clock.ts";
import { parseId } from "../../src/platform/ids.ts";
import { createTenant, eventually } from "../support/relay.ts";
import { openScene, type Scene } from "./scene.ts";

const FIRST_AHEAD_MS = 7_000;
/** For the first sixty messages, many times over. */
const NEEDED_MS = 4_000;

/** The first of the next month, UTC. */
function turnAfter(now: Date): number {
  return Date.UTC(now.getUTCFullYear(), now.getUTCMonth() + 1, 1);
}

/** A program whose clock stands shortly before the end of a month when it is ready; on a slow machine it takes a few tries. */
async function openBeforeTurn(): Promise<{ scene: Scene; turn: Date }> {
  for (let aheadMs = FIRST_AHEAD_MS; ; aheadMs *= 2) {
    const turn = turnAfter(new Date());
    const offsetMs = Math.floor((turn - Date.now() - aheadMs) / 1000) * 1000;
    const scene = await openScene({ clockOffsetMs: offsetMs });
    if (Date.now() + offsetMs < turn - NEEDED_MS) return { scene, turn: new Date(turn) };
    await scene.relay.stop();
  }
}

test("a period that ends under load keeps what was sent in it, and the next one has its full limit", async () => {
  const { scene, turn } = await openBeforeTurn();
  const { relay, database } = scene;
  const limited = await createTenant(relay, { limit: 60 });
  const free = await createTenant(relay, { limit: null });
  const first = scene.load(limited, { sessions: 6, pauseMs: 15 });
  const second = scene.load(free, { sessions: 4, pauseMs: 10 });
  await first.more(80);
  const usageOf = async (query: string) => {
    const path = `/v1/subaccounts/${limited.subaccountId}/usage${query}`;
    return (await relay.call("GET", path, undefined, { key: limited.masterKey })).body;
  };
  await eventually(async () => (await usageOf("")).period.start === turn.toISOString(), "the period turns", 120_000);
  await first.more(90);
  await first.stop();
  await second.stop();
  expect(await usageOf("")).toMatchObject({ used: 60, limit: 60, remaining: 0 });
  const clock = createClock(database.clockOffsetMs);
  expect(await closeDue(database.db, { clock, graceMs: 0 })).toBeGreaterThanOrEqual(2);
  expect(await scene.check()).toMatchObject({ faults: [], inDoubt: 0, duplicates: 0 });
  const { rows } = await database.pool.query(
    `select period_start, sum(units) filter (where subaccount_id = $1) as limited, sum(units) as units,
            bool_and(date_trunc('month', accepted_at, 'UTC') = period_start) as belongs
       from usage_entry where kind = 'accept' group by 1 order by 1`,
    [parseId("sub", limited.subaccountId)],
  );
  const start = new Date(Date.UTC(turn.getUTCFullYear(), turn.getUTCMonth() - 1, 1));
  const some = expect.any(Number);
  expect(rows).toEqual([
    { period_start: start, limited: 60, units: some, belongs: true },
    { period_start: turn, limited: 60, units: some, belongs: true },
  ]);
});
