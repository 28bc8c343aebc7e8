/** A ledger with months that may be archived: mail, voids, corrections, sandbox mail and credits, all closed, summed and in order. */
import { cpSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, onTestFinished } from "vitest";
import type { Operator } from "../../src/accounts/principal.ts";
import { type ArchiveOptions, archiveMonth } from "../../src/metering/archive.ts";
import { closeDue } from "../../src/metering/close-due.ts";
import { addCorrection } from "../../src/metering/correction.ts";
import { type Month, monthAfter } from "../../src/metering/months.ts";
import { periodAt } from "../../src/metering/period.ts";
import { sumDays } from "../../src/metering/sum-days.ts";
import { createClock } from "../../src/platform/clock.ts";
import { openDatabase } from "../../src/platform/database.ts";
import { type MasterId, type MessageId, newId, type SubaccountId } from "../../src/platform/ids.ts";
import { purge } from "../../src/spool/purge.ts";
import { seedMaster, seedSubaccount } from "./accounts.ts";
import { createDatabase, type TestDatabase, testDatabase } from "./database.ts";
import { acceptUnits, later } from "./ledger.ts";
import { submissionOf, testAcceptor } from "./submission.ts";

export const operator: Operator = { kind: "operator", via: "cli" };
export const DAY_MS = 86_400_000;
export const RETENTION_MS = 93 * DAY_MS;
/** What a spreadsheet, a shell and a parser of tables could stumble over. */
export const NOTE = '=cmd|" quoted", "\r\nsecond line"\n\'third\'; ünïcode';

export type FilledLedger = Readonly<{
  url: string;
  clockOffsetMs: number;
  /** Without entries, a partition or more; then three with. */
  months: readonly [Month, Month, Month, Month];
  masterId: MasterId;
  subaccountId: SubaccountId;
  /** Charged 3 units in the second month; 2 are taken back there, 1 is charged again in the third. */
  first: MessageId;
  /** What lies in the folder of the archive. */
  from?: string;
}>;

/** Closed for everybody, so that it can be copied (`openLedger`). */
export async function fillLedger(): Promise<FilledLedger> {
  const start = await testDatabase({ max: 2 });
  const now = start.clock.now();
  const month = now.toISOString().slice(0, 7);
  const months = [month, monthAfter(month), monthAfter(month, 2), monthAfter(month, 3)] as const;
  const at = (text: string) => later(start, Date.parse(text) - now.getTime());
  const { masterId } = await seedMaster(start, { timeZone: "America/New_York" });
  const subaccountId = await seedSubaccount(start, masterId);
  const account = { masterId, subaccountId };
  const calendar = { anchorDay: 1, timeZone: "America/New_York" };
  const accept = async (database: TestDatabase, units: number) =>
    ((await acceptUnits(database, account, units, calendar)) as { id: MessageId }).id;
  let first: MessageId;
  {
    await using database = await at(`${months[1]}-10T12:00:00Z`);
    first = await accept(database, 3);
    await accept(database, 4);
    await addCorrection(database.db, operator, { messageId: first, units: -2, note: NOTE }, database.clock);
    await useCredit(database, account, first);
    await sendSandbox(database, account);
  }
  {
    await using database = await at(`${months[2]}-12T12:00:00Z`);
    await accept(database, 5);
    await addCorrection(database.db, operator, { messageId: first, units: 1, note: "half of it" }, database.clock);
  }
  {
    // Their ids are of the third month, their period, which New York begins at five o'clock, is that of the second.
    await using database = await at(`${months[3]}-01T03:00:00Z`);
    await accept(database, 6);
    await database.pool.query(
      `insert into usage_entry (id, master_id, subaccount_id, period_start, units, kind, accepted_at)
       select (substr(uuid_at(pm_now())::text, 1, 14) || '7' || substr(gen_random_uuid()::text, 16))::uuid, master_id, subaccount_id, period_start, 0, 'void', pm_now() from usage_entry
        order by id desc limit 1`,
    );
  }
  {
    // An upload that began on the last day of the third month, and ended in the fourth one's period.
    await using database = await at(`${months[3]}-01T12:00:00Z`);
    const begun = createClock(database.clockOffsetMs - 16 * 3_600_000);
    const period = periodAt(calendar, database.clock.now());
    const slow = submissionOf(account, {
      id: newId<MessageId>(begun),
      calendar,
      period,
      recipients: ["a@example.net", "b@example.net"],
    });
    await testAcceptor(database).accept(slow);
  }
  await using end = await at(`${monthAfter(months[3], 5)}-10T12:00:00Z`);
  await closeDue(end.db, { clock: end.clock, graceMs: 0 });
  await sumDays(end.db);
  await end.pool.query("delete from queue"); // all delivered
  await purge(end.db, { bodiesMs: 0, messagesMs: 30 * DAY_MS, eventsMs: 0 });
  await start.pool.end();
  return { url: start.url, clockOffsetMs: end.clockOffsetMs, months, ...account, first };
}

type Account = Readonly<{ masterId: MasterId; subaccountId: SubaccountId }>;

/** One unit of the message was paid by a credit. */
async function useCredit(
  { pool }: TestDatabase,
  { masterId, subaccountId }: Account,
  message: MessageId,
): Promise<void> {
  await pool.query(
    `with pack as (insert into credit_pack values (gen_random_uuid(), $1, 10, null, null, pm_now()) returning id),
          lot as (insert into credit_lot select gen_random_uuid(), id, $1, $2, 10, 1, null, pm_now() from pack returning id)
     insert into credit_entry select e.id, lot.id, $1, $2, e.period_start, 1, pm_now() from lot, usage_entry e where e.id = $3`,
    [masterId, subaccountId, message],
  );
  await pool.query("update usage set credit_used = 1 where account_id in ($1, $2)", [masterId, subaccountId]);
}

async function sendSandbox(database: TestDatabase, { masterId }: Account): Promise<void> {
  const id = await seedSubaccount(database, masterId);
  await database.pool.query("update subaccount set sandbox = true where id = $1", [id]);
  await database.pool.query(
    `insert into usage (account_id, period_start, period_end, master_id, used, open, thresholds)
     select $1, period_start, period_end, master_id, 9, true, '{}' from usage where account_id = $2`,
    [id, masterId],
  );
  await database.pool.query(
    `insert into usage_entry (id, master_id, subaccount_id, period_start, units, kind, accepted_at)
     select (substr(uuid_at(pm_now())::text, 1, 14) || '7' || substr(gen_random_uuid()::text, 16))::uuid, master_id, $1, period_start, 9, 'sandbox', pm_now()
       from usage where account_id = $2`,
    [id, masterId],
  );
}

export type OpenLedger = FilledLedger &
  TestDatabase &
  Readonly<{ dir: string; options: Omit<ArchiveOptions, "onStep" | "onPage"> }>;

/** The same with all months but the last in files, as a start for many tests. */
export async function fillArchive(): Promise<FilledLedger> {
  const filled = await fillLedger();
  const from = mkdtempSync(join(tmpdir(), "postmeter-archive-"));
  afterAll(() => rmSync(from, { recursive: true, force: true }));
  const { url, clockOffsetMs } = filled;
  await using database = openDatabase({ url, clockOffsetMs, max: 2, applicationName: "postmeter test" });
  const options = { dir: from, retentionMs: RETENTION_MS, principal: operator, clock: createClock(clockOffsetMs) };
  for (const month of filled.months.slice(0, 3)) await archiveMonth(database.db, month, options);
  return { ...filled, from };
}

/** A copy of one's own, and a folder. Gone with the test. */
export async function openLedger(filled: FilledLedger): Promise<OpenLedger> {
  const url = await createDatabase(new URL(filled.url).pathname.slice(1));
  const database = openDatabase({
    url,
    clockOffsetMs: filled.clockOffsetMs,
    max: 4,
    applicationName: "postmeter test",
  });
  const clock = createClock(filled.clockOffsetMs);
  const dir = mkdtempSync(join(tmpdir(), "postmeter-archive-"));
  if (filled.from !== undefined) cpSync(filled.from, dir, { recursive: true });
  onTestFinished(async () => {
    await database[Symbol.asyncDispose]();
    rmSync(dir, { recursive: true, force: true });
  });
  const options = { dir, retentionMs: RETENTION_MS, principal: operator, clock };
  return { ...filled, ...database, url, clock, dir, options };
}
