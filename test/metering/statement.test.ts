import { expect, test, vi } from "vitest";
import type { MasterPrincipal, Operator, SubaccountPrincipal } from "../../src/accounts/principal.ts";
import { closeMaster } from "../../src/metering/close.ts";
import { closeDue } from "../../src/metering/close-due.ts";
import { addCorrection } from "../../src/metering/correction.ts";
import { periodAt } from "../../src/metering/period.ts";
import { listStatements, readStatement } from "../../src/metering/read-statement.ts";
import { CHAIN_START, hashChain, hashLines } from "../../src/metering/statement.ts";
import { statementCsv } from "../../src/metering/statement-csv.ts";
import { formatId, type MasterId, type MessageId } from "../../src/platform/ids.ts";
import { type MasterSeed, seedMaster, seedSubaccount } from "../support/accounts.ts";
import { type TestDatabase, testDatabase } from "../support/database.ts";
import { acceptUnits, later } from "../support/ledger.ts";
import { silentLog } from "../support/log.ts";
import { utcMonths } from "../support/submission.ts";

const DAY_MS = 86_400_000;
const graceMs = 60_000;
const operator: Operator = { kind: "operator", via: "cli" };
const masterOf = (masterId: MasterId): MasterPrincipal => ({ kind: "master", masterId, keyId: null, scopes: ["full"] });

async function used(seed: MasterSeed = {}) {
  const database = await testDatabase();
  const { masterId, ownSubaccountId } = await seedMaster(database, seed);
  const subaccountId = await seedSubaccount(database, masterId, { name: "Corner Shop", externalId: "c-17" });
  await acceptUnits(database, { masterId, subaccountId }, 30);
  await acceptUnits(database, { masterId, subaccountId }, 5);
  await acceptUnits(database, { masterId, subaccountId: ownSubaccountId }, 7);
  return { database, masterId, ownSubaccountId, subaccountId, period: periodAt(utcMonths, database.clock.now()) };
}

/** The same database just after the end of the running period. */
const afterPeriod = (database: TestDatabase, extraMs = 0) => {
  const { end } = periodAt(utcMonths, database.clock.now());
  return later(database, end.getTime() - database.clock.now().getTime() + 120_000 + extraMs);
};

test("the preview of the running period shows what the ledger holds, the master's own sending as a line too", async () => {
  const { database, masterId, ownSubaccountId, subaccountId, period } = await used({ allowance: 1000 });
  const preview = await readStatement(database.db, masterOf(masterId), "current", database.clock);
  expect(preview).toMatchObject({
    id: null,
    closedAt: null,
    period,
    allowance: 1000,
    units: 42,
    messages: 3,
    corrections: 0,
  });
  expect(preview.lines).toEqual([
    expect.objectContaining({ subaccountId: ownSubaccountId, units: 7, messages: 1, monthlyLimit: null }),
    expect.objectContaining({
      subaccountId,
      name: "Corner Shop",
      externalId: "c-17",
      units: 35,
      messages: 2,
      monthlyLimit: 100,
    }),
  ]);
});

test("a period that is still running is not closed", async () => {
  const { database, masterId } = await used();
  expect(await closeMaster(database.db, masterId, { clock: database.clock })).toEqual([]);
  await expect(
    readStatement(
      database.db,
      masterOf(masterId),
      periodAt(utcMonths, database.clock.now()).start.toISOString().slice(0, 10),
      database.clock,
    ),
  ).rejects.toMatchObject({ kind: "not-found" });
});

test("a closed statement equals the preview before, never changes, and is found by date, id and list", async () => {
  const { database, masterId, subaccountId, period } = await used({ allowance: 40, overage: "bill" });
  const preview = await readStatement(database.db, masterOf(masterId), "current", database.clock);
  await using after = await afterPeriod(database);
  const [closed, ...more] = await closeMaster(after.db, masterId, after);
  expect(more).toEqual([]);
  const read = (name: string) => readStatement(after.db, masterOf(masterId), name, after.clock);
  const statement = await read(period.start.toISOString().slice(0, 10));
  expect(statement).toMatchObject({
    ...preview,
    id: closed?.id,
    number: 1,
    closedAt: expect.any(Date),
    linesHash: expect.any(String),
    chainHash: expect.any(String),
  });
  expect(statement.overageUnits).toBe(2);
  await after.pool.query("update subaccount set name = 'Renamed', monthly_limit = 1 where id = $1", [subaccountId]);
  expect(await read(period.start.toISOString().slice(0, 10))).toEqual(statement);
  const { lines, profiles: _, price: __, ...summary } = statement;
  expect(lines).toHaveLength(2);
  expect(await listStatements(after.db, masterOf(masterId), { limit: 10 }, after.clock)).toEqual([
    { ...summary, totals: [] },
  ]);
});

test("closing again, or by two at once, closes once", async () => {
  const { database, masterId } = await used();
  await using after = await afterPeriod(database);
  const both = await Promise.all([closeMaster(after.db, masterId, after), closeMaster(after.db, masterId, after)]);
  expect(both.flat()).toHaveLength(1);
  expect(await closeMaster(after.db, masterId, after)).toEqual([]);
  const counts = await after.pool.query(
    "select (select count(*) from statement) as s, (select count(*) from statement_line) as l, (select count(*) from event where type = 'statement.closed') as e",
  );
  expect(counts.rows).toEqual([{ s: 1, l: 2, e: 1 }]);
});

test("periods are closed in order and without gaps, idle ones too, each chained to the one before", async () => {
  const { database, masterId } = await used();
  await using after = await afterPeriod(database, 62 * DAY_MS);
  const closed = await closeMaster(after.db, masterId, after);
  expect(closed.length).toBeGreaterThanOrEqual(3);
  for (const [i, one] of closed.entries()) if (i > 0) expect(one.period.start).toEqual(closed[i - 1]!.period.end);
  let chain = CHAIN_START;
  for (const { id } of closed) {
    const { rows } = await after.pool.query("select * from statement where id = $1", [id]);
    const statement = await readStatement(
      after.db,
      masterOf(masterId),
      rows[0].period_start.toISOString().slice(0, 10),
      after.clock,
    );
    chain = hashChain(chain, hashLines(statement));
    expect(rows[0].chain_hash).toEqual(chain);
  }
  const page = await listStatements(after.db, masterOf(masterId), { limit: 1 }, after.clock);
  expect(page.map((s) => s.id)).toEqual(
    closed
      .map((c) => c.id)
      .toReversed()
      .slice(0, 2),
  );
  const next = await listStatements(
    after.db,
    masterOf(masterId),
    { limit: 50, before: page[0]!.period.start },
    after.clock,
  );
  expect(next).toHaveLength(closed.length - 1);
});

test("an acceptance that holds the usage row when the period ends is on the statement, and none comes after it", async () => {
  const { database, masterId, subaccountId, period } = await used();
  const holder = await database.pool.connect();
  const entry = `insert into usage_entry (id, master_id, subaccount_id, period_start, units, kind, accepted_at)
    select (substr(uuid_at(pm_now())::text, 1, 14) || '7' || substr(gen_random_uuid()::text, 16))::uuid, $1, $2, $3, 11, 'accept', pm_now()`;
  await holder.query("begin");
  await holder.query("select from usage where account_id = $1 and period_start = $2 for update", [
    masterId,
    period.start,
  ]);
  await holder.query(entry, [masterId, subaccountId, period.start]);
  await using after = await afterPeriod(database);
  const closing = closeMaster(after.db, masterId, after);
  await blocked(database);
  await holder.query("commit");
  holder.release();
  expect(await closing).toMatchObject([{ units: 53 }]);
  // From now on the same send belongs to the next period.
  expect(await acceptUnits(after, { masterId, subaccountId }, 1)).toMatchObject({ kind: "accepted" });
  const { rows } = await after.pool.query("select used from usage where account_id = $1 order by period_start", [
    subaccountId,
  ]);
  expect(rows).toEqual([{ used: 35 }, { used: 1 }]);
});

/** Resolves when somebody waits for a lock. */
async function blocked({ pool }: TestDatabase): Promise<void> {
  for (;;) {
    const { rowCount } = await pool.query(
      "select from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'",
    );
    if (rowCount) return;
  }
}

test("the job closes every master's periods, but not before the time that it waits after their end", async () => {
  const { database, masterId } = await used();
  const second = await seedMaster(database);
  const { end } = periodAt(utcMonths, database.clock.now());
  await using early = await later(database, end.getTime() - database.clock.now().getTime() + 1000);
  expect(await closeDue(early.db, { ...early, graceMs })).toBe(0);
  await using after = await afterPeriod(database);
  expect(await closeDue(after.db, { ...after, graceMs })).toBe(2);
  const { rows } = await after.pool.query<{ master_id: MasterId; units: number }>(
    "select master_id, units from statement",
  );
  expect(new Map(rows.map((row) => [row.master_id, row.units]))).toEqual(
    new Map([
      [masterId, 42],
      [second.masterId, 0],
    ]),
  );
});

test("a period that waits to be closed is a preview under its date, and what is corrected then is the next one's", async () => {
  const { database, masterId, subaccountId, period } = await used();
  const { id: messageId } = (await acceptUnits(database, { masterId, subaccountId }, 4)) as { id: MessageId };
  await using after = await afterPeriod(database);
  expect(await closeDue(after.db, { ...after, graceMs: 3_600_000 })).toBe(0);
  await acceptUnits(after, { masterId, subaccountId }, 8);
  await addCorrection(after.db, operator, { messageId, units: -2, note: "ours" }, after.clock);
  const read = (name: string) => readStatement(after.db, masterOf(masterId), name, after.clock);
  const date = period.start.toISOString().slice(0, 10);
  const waiting = await read(date);
  expect(waiting).toMatchObject({ id: null, number: null, period, units: 46, corrections: 0, chainHash: null });
  expect(await read("current")).toMatchObject({ id: null, units: 8, corrections: -2 });
  await expect(read(period.end.toISOString().slice(0, 10))).rejects.toMatchObject({ kind: "not-found" });
  await using anHour = await afterPeriod(database, 3_600_000);
  expect(await closeDue(anHour.db, { ...anHour, graceMs: 3_600_000 })).toBe(1);
  const { id, number, closedAt, linesHash, chainHash, ...figures } = waiting;
  expect([id, number, closedAt, linesHash, chainHash]).toEqual([null, null, null, null, null]);
  expect(await read(date)).toMatchObject({ ...figures, number: 1 });
  expect(await read("current")).toMatchObject({ units: 8, corrections: -2 });
});

test("each of several periods that wait has its preview, also a short one of a calendar that has changed", async () => {
  const database = await testDatabase();
  const { masterId } = await seedMaster(database);
  const { start, end } = periodAt(utcMonths, database.clock.now());
  const short = new Date(end.getTime() + 14 * DAY_MS);
  await database.pool.query(
    "update master set next_anchor_day = 15, next_time_zone = 'Europe/Berlin', calendar_changes_at = $1",
    [end],
  );
  await using after = await later(database, short.getTime() - database.clock.now().getTime() + 2 * DAY_MS);
  const read = (name: string) => readStatement(after.db, masterOf(masterId), name, after.clock);
  const names = [start, end].map((at) => at.toISOString().slice(0, 10));
  const previews = await Promise.all(names.map(read));
  expect(previews.map(({ period }) => period.start)).toEqual([start, end]);
  const closed = await closeMaster(after.db, masterId, after);
  expect(closed.map(({ period }) => period)).toEqual(previews.map(({ period }) => period));
});

test("one master that fails stops no other, and the job says so at the end", async () => {
  const { database, masterId } = await used();
  const others = [await seedMaster(database), await seedMaster(database)];
  await database.pool.query(
    "create or replace function no_statement() returns trigger language plpgsql as $$ begin raise 'played failure'; end $$",
  );
  await database.pool.query(
    `create trigger fails before insert on statement for each row when (new.master_id = '${masterId}') execute function no_statement()`,
  );
  await using after = await afterPeriod(database);
  await expect(closeDue(after.db, { ...after, graceMs })).rejects.toThrow(
    "the statements of 1 masters could not be closed",
  );
  const { rows } = await after.pool.query("select master_id from statement order by 1");
  expect(rows.map((row) => row.master_id)).toEqual(others.map((other) => other.masterId).toSorted());
  await database.pool.query("drop trigger fails on statement");
  expect(await closeDue(after.db, { ...after, graceMs })).toBe(1);
});

test("a master that fails slowly takes none of the time of others", async () => {
  const { database, masterId } = await used();
  for (let n = 0; n < 2; n += 1) await seedMaster(database);
  await database.pool.query(
    "create function no_statement() returns trigger language plpgsql as $$ begin raise exception 'no'; end $$",
  );
  await database.pool.query(
    `create trigger fails before insert on statement for each row when (new.master_id = '${masterId}') execute function no_statement()`,
  );
  await using after = await afterPeriod(database);
  let now = 0;
  using clock = vi.spyOn(performance, "now").mockImplementation(() => now);
  const fails = () => {
    now += 1e6;
  };
  const log = { ...silentLog, error: fails } as typeof silentLog;
  const run = closeDue(after.db, { ...after, graceMs, log, budgetMs: 1000 });
  await expect(run).rejects.toThrow("the statements of 1 masters could not be closed");
  clock.mockRestore();
  expect((await after.pool.query("select from statement")).rowCount).toBe(2);
});

test("masters with nothing to close cost one statement in all, in the last days of a month and with none closed yet too", async () => {
  const { database } = await used();
  for (let n = 0; n < 20; n += 1) await seedMaster(database);
  const { end } = periodAt(utcMonths, database.clock.now());
  const lastDay = end.getTime() - database.clock.now().getTime() - DAY_MS / 2;
  const statements = async (at: TestDatabase) => {
    let count = 0;
    const counted = at.db.withPlugin({
      transformQuery: ({ node }) => {
        count += 1;
        return node;
      },
      transformResult: async ({ result }) => result,
    });
    const closed = await closeDue(counted, { ...at, graceMs });
    return { closed, count };
  };
  expect((await statements(database)).count).toBeGreaterThan(20);
  await using near = await later(database, lastDay);
  expect(await statements(near)).toEqual({ closed: 0, count: 1 });
  await using after = await afterPeriod(database);
  expect((await statements(after)).closed).toBe(21);
  expect(await statements(after)).toEqual({ closed: 0, count: 1 });
});

test("the job ends when its time is over or the program stops, and what is left stays due", async () => {
  const { database } = await used();
  for (let n = 0; n < 5; n += 1) await seedMaster(database);
  await using after = await afterPeriod(database);
  expect(await closeDue(after.db, { ...after, graceMs, budgetMs: 0 })).toBe(0);
  expect(await closeDue(after.db, { ...after, graceMs, signal: AbortSignal.abort() })).toBe(0);
  const stopping = new AbortController();
  const closing = closeDue(after.db, { ...after, graceMs, rest: 1e5, signal: stopping.signal }); // rests for minutes behind the first
  const closed = async () => (await database.db.selectFrom("statement").select("id").execute()).length;
  await vi.waitFor(async () => expect(await closed()).toBe(1), 10_000);
  stopping.abort();
  expect(await closing).toBe(1);
  expect(await closeDue(after.db, { ...after, graceMs, rest: 1 })).toBe(5);
});

test("a closed master gets statements up to its last use", async () => {
  const { database, masterId } = await used();
  expect(await closeDue(database.db, { ...database, graceMs })).toBe(0);
  await database.pool.query("update master set state = 'closed' where id = $1", [masterId]);
  await using after = await afterPeriod(database, 62 * DAY_MS);
  expect(await closeDue(after.db, { ...after, graceMs })).toBe(1);
  expect(await closeMaster(after.db, masterId, after)).toEqual([]);
  await database.pool.query("update master set state = 'active' where id = $1", [masterId]);
  expect(await closeDue(after.db, { ...after, graceMs })).toBeGreaterThanOrEqual(2); // reopened: those between, too
});

test("a subaccount that was closed before the period has no line, unless it used something", async () => {
  const { database, masterId, period } = await used();
  const gone = await seedSubaccount(database, masterId, { name: "Gone" });
  await database.pool.query("update subaccount set state = 'closed', closed_at = $2 where id = $1", [
    gone,
    new Date(period.start.getTime() - 1000),
  ]);
  const preview = await readStatement(database.db, masterOf(masterId), "current", database.clock);
  expect(preview.lines.map((line) => line.name).toSorted()).toEqual(["Corner Shop", "Own sending"]);
});

test("use under a master stays on its statement when the subaccount has moved to another", async () => {
  const { database, masterId, subaccountId } = await used();
  const other = await seedMaster(database);
  await database.pool.query("update subaccount set master_id = $2 where id = $1", [subaccountId, other.masterId]);
  const lines = async (id: MasterId) =>
    (await readStatement(database.db, masterOf(id), "current", database.clock)).lines;
  expect((await lines(masterId)).find((line) => line.subaccountId === subaccountId)).toMatchObject({ units: 35 });
  expect((await lines(other.masterId)).find((line) => line.subaccountId === subaccountId)).toMatchObject({ units: 0 });
});

test("nobody else reads a master's statements, a subaccount not even its master's", async () => {
  const { database, masterId, subaccountId } = await used();
  await using after = await afterPeriod(database);
  const [closed] = await closeMaster(after.db, masterId, after);
  const stranger = masterOf((await seedMaster(database)).masterId);
  const child: SubaccountPrincipal = { kind: "subaccount", masterId, subaccountId, keyId: null, scopes: ["full"] };
  const { rows } = await after.pool.query<{ day: string }>(
    "select to_char(period_start, 'YYYY-MM-DD') as day from statement where id = $1",
    [closed?.id],
  );
  const theirs = formatId("stm", closed!.id);
  for (const name of ["current", rows[0]!.day, theirs, "2026", "", "stm_x"]) {
    await expect(readStatement(after.db, child, name, after.clock)).rejects.toMatchObject({ kind: "not-found" });
    if (name !== "current" && name !== rows[0]!.day)
      await expect(readStatement(after.db, stranger, name, after.clock)).rejects.toMatchObject({ kind: "not-found" });
  }
  for (const name of ["current", rows[0]!.day]) {
    const own = await readStatement(after.db, stranger, name, after.clock);
    expect(own).toMatchObject({ id: null, masterId: stranger.masterId, units: 0 });
  }
  await expect(listStatements(after.db, child, { limit: 1 }, after.clock)).rejects.toMatchObject({ kind: "not-found" });
  expect(await listStatements(after.db, stranger, { limit: 1 }, after.clock)).toEqual([]);
});

test("a table for spreadsheets quotes text and lets none of it be a formula", async () => {
  const { database, masterId } = await used();
  for (const name of ['Say "hi", all', "=HYPERLINK(1)", "-2+3", "  @sum", "\tx", "＝1", "line\r\nbreak"]) {
    await seedSubaccount(database, masterId, { name });
  }
  const csv = statementCsv(await readStatement(database.db, masterOf(masterId), "current", database.clock));
  expect(
    csv.startsWith(
      "period_start,period_end,subaccount_id,name,external_id,monthly_limit,top_up,messages,units,corrections,billed,credits,overage_units,refused,billing_profile,currency,cost_centre,number,price_currency,fee_minor,overage_minor,discount_minor,total_minor,cost_currency,cost_minor,margin_minor\r\n",
    ),
  ).toBe(true);
  for (const cell of [
    '"Say ""hi"", all"',
    `"'=HYPERLINK(1)"`,
    `"'-2+3"`,
    `"'  @sum"`,
    `"'\tx"`,
    `"'＝1"`,
    '"line\r\nbreak"',
  ]) {
    expect(csv).toContain(`,${cell},`);
  }
  expect(csv).toContain(',"Corner Shop","c-17",100,0,2,35,0,35,0,0,0,"",,"",,,,,,,,,\r\n');
});
