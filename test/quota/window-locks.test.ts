/** Windows are shared by usage rows: those of two periods, around an end. So they have locks of their own. */
import { setTimeout as sleep } from "node:timers/promises";
import { expect, test, vi } from "vitest";
import type { Period } from "../../src/metering/period.ts";
import { seedCredential, seedMaster, seedSubaccount } from "../support/accounts.ts";
import { type TestDatabase, testDatabase } from "../support/database.ts";
import { disagreements, knock, messageOf, mutate, openRows, standingClock } from "./door.ts";

const END = Date.UTC(2027, 0, 1) / 1000;
const [before, after]: Period[] = [-1, 0].map((n) => ({
  start: new Date((END + n * 86_400) * 1000),
  end: new Date((END + (n + 1) * 86_400) * 1000),
}));

/** One message just before the end that has not committed, and one just after it; each fits, both don't. */
async function acrossTheEnd(at: TestDatabase, call?: string): Promise<string[]> {
  const { pool } = at;
  const setClock = await standingClock(at);
  await setClock(END - 1);
  const { masterId } = await seedMaster(at);
  const who = { masterId, subaccountId: await seedSubaccount(at, masterId, { monthlyLimit: null }) };
  for (const period of [before!, after!]) await openRows(at, who, period);
  await pool.query("update subaccount set rate_limits = $2 where id = $1", [who.subaccountId, { minute: 5 }]);
  const client = await pool.connect();
  await client.query("begin");
  const inThere = { query: client.query.bind(client) } as unknown as typeof pool;
  const first = await knock(inThere, [messageOf(who, 3, { period: before! })], call);
  await setClock(END + 1);
  const second = knock(pool, [messageOf(who, 3, { period: after! })], call);
  await vi.waitFor(async () => {
    const { rows } = await pool.query(
      "select from pg_locks l join pg_stat_activity a using (pid) where not l.granted and a.datname = current_database()",
    );
    expect(rows).toHaveLength(1);
  }, 10_000);
  await client.query("commit");
  client.release();
  return [...first.verdicts, ...(await second).verdicts];
}

test("who sends in the new period waits for who sent in the old one, and sees what that took", async () => {
  await using at = await testDatabase({ lockTimeoutMs: 20_000 });
  expect(await acrossTheEnd(at)).toEqual(["accepted", "rate"]);
});

test("control: without locks of the windows both are accepted", async () => {
  await using at = await testDatabase({ lockTimeoutMs: 20_000 });
  await mutate(at.pool, "unlocked", "order by w.id, w.span for update", "order by w.id, w.span");
  expect(await acrossTheEnd(at, "unlocked")).toEqual(["accepted", "accepted"]);
});

test("a storm over the ends of many periods, while limits change, ends without a deadlock and with windows as full as they may be", {
  timeout: 60_000,
}, async () => {
  await using at = await testDatabase({ max: 20, lockTimeoutMs: 20_000 });
  const { pool } = at;
  const { masterId } = await seedMaster(at);
  const lengthMs = 100;
  const periods = 30;
  const startMs = at.clock.now().getTime() + 2000;
  const periodOf = (n: number): Period => ({
    start: new Date(startMs + n * lengthMs),
    end: new Date(startMs + (n + 1) * lengthMs + (n === periods - 1 ? 86_400_000 : 0)), // the last one waits for whoever is slow
  });
  const members: { subaccountId: string; send: (n: number) => ReturnType<typeof messageOf> }[] = [];
  for (let i = 0; i < 6; i++) {
    const subaccountId = await seedSubaccount(at, masterId, { monthlyLimit: null });
    const { credentialId } = await seedCredential(at, masterId, subaccountId);
    // The first three keep their limit, and are asked for more; those of the others change.
    const most = i < 3 ? 20 : 100_000;
    await pool.query("update subaccount set rate_limits = $2 where id = $1", [subaccountId, { hour: most, day: most }]);
    await pool.query("update credential set rate_limits = $2 where id = $1", [credentialId, { hour: 100_000 }]);
    for (let n = 0; n < periods; n++) await openRows(at, { masterId, subaccountId }, periodOf(n));
    const send = (n: number) => messageOf({ masterId, subaccountId }, 1, { period: periodOf(n), credentialId });
    members.push({ subaccountId, send });
  }
  await sleep(Math.max(startMs - at.clock.now().getTime(), 0));
  const now = () => Math.min(Math.max(Math.floor((at.clock.now().getTime() - startMs) / lengthMs), 0), periods - 1);
  const senders = Array.from({ length: 8 }, async (_, s) => {
    for (let i = 0; i < 30 || now() < periods - 1; i++) {
      const batch = [0, 1, 2, 3].map((k) =>
        members[(s + i * k) % 6]!.send(Math.min(now() + ((i + k) % 4 === 0 ? 1 : 0), periods - 1)),
      );
      await knock(pool, batch);
    }
  });
  const changers = Array.from({ length: 3 }, async (_, c) => {
    const { subaccountId } = members[3 + c]!;
    for (let i = 0; i < 30 || now() < periods - 1; i++) {
      const limits = i % 3 === 0 ? null : { minute: 90_000 + i, hour: 90_000 + i };
      await pool.query("update subaccount set rate_limits = $2, reserve = $3 where id = $1", [
        subaccountId,
        limits,
        i % 2,
      ]);
      await pool.query("update credential set rate_limits = $2 where subaccount_id = $1", [
        subaccountId,
        { day: 90_000 + i },
      ]);
    }
  });
  await Promise.all([...senders, ...changers]);
  const { rows: sums } = await pool.query(
    "select sum(units)::int as units from usage_entry where subaccount_id = any($1) group by subaccount_id",
    [members.slice(0, 3).map(({ subaccountId }) => subaccountId)],
  );
  expect(sums).toEqual([{ units: 20 }, { units: 20 }, { units: 20 }]);
  const { rows: outside } = await pool.query(
    `select e.id from usage_entry e join usage u on u.account_id = e.subaccount_id and u.period_start = e.period_start
      where e.accepted_at < u.period_start or e.accepted_at >= u.period_end`,
  );
  expect([outside, await disagreements(at)]).toEqual([[], []]);
  const { rows } = await pool.query("select deadlocks from pg_stat_database where datname = current_database()");
  expect(rows).toEqual([{ deadlocks: 0 }]);
});
