/** A month leaves the database for a file, and comes back; what is asked of the ledger meanwhile is answered as before. */
import { execFileSync } from "node:child_process";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { gunzipSync } from "node:zlib";
import { beforeAll, describe, expect, test } from "vitest";
import { findMaster } from "../../src/accounts/find.ts";
import { archiveMonth, archiveNext } from "../../src/metering/archive.ts";
import { dueMonths, waitsFor } from "../../src/metering/archive-due.ts";
import { listArchives } from "../../src/metering/archive-records.ts";
import { addCorrection } from "../../src/metering/correction.ts";
import { readDailyUsage } from "../../src/metering/daily.ts";
import { listDateUsage } from "../../src/metering/dates-usage.ts";
import { draftStatement } from "../../src/metering/draft.ts";
import { exportUsage } from "../../src/metering/export.ts";
import { monthAfter } from "../../src/metering/months.ts";
import { restoreMonth } from "../../src/metering/restore.ts";
import { sumDates } from "../../src/metering/sum-dates.ts";
import { sumDays } from "../../src/metering/sum-days.ts";
import { readUsage } from "../../src/metering/usage.ts";
import { verifyLedger } from "../../src/metering/verify.ts";
import { formatId } from "../../src/platform/ids.ts";
import { ensurePartitions } from "../../src/platform/partitions.ts";
import { seedSubaccount } from "../support/accounts.ts";
import {
  DAY_MS,
  type FilledLedger,
  fillLedger,
  NOTE,
  type OpenLedger,
  openLedger,
  operator,
  RETENTION_MS,
} from "../support/archive.ts";
import { acceptUnits } from "../support/ledger.ts";
import { unguarded } from "../support/tampering.ts";

let filled: FilledLedger;
beforeAll(async () => {
  filled = await fillLedger();
});

const entries = async ({ pool }: OpenLedger) => (await pool.query("select * from usage_entry order by id")).rows;
const verify = ({ db, clock, dir }: OpenLedger) => verifyLedger(db, clock, { archiveDir: dir });
const archive = (ledger: OpenLedger, month: string) => archiveMonth(ledger.db, month, ledger.options);
async function archiveAll(ledger: OpenLedger): Promise<void> {
  for (const month of ledger.months) await archive(ledger, month);
}

test("the files hold each entry once, in order; the database none of them; and the ledger is in order", async () => {
  const ledger = await openLedger(filled);
  const before = await entries(ledger);
  await archiveAll(ledger);
  expect(await entries(ledger)).toEqual([]);
  const lines = ledger.months.flatMap((month) => plain(ledger, month).slice(1));
  expect(lines.map((line) => line.slice(0, 36))).toEqual(before.map(({ id }) => id));
  expect(await verify(ledger)).toMatchObject({
    ok: true,
    differences: [],
    read: { archive: before.length, entries: 0 },
    unread: [],
  });
});

const bytesOf = (ledger: OpenLedger, month: string) => readFileSync(join(ledger.dir, `usage_entry-${month}.csv.gz`));
const manifestOf = (ledger: OpenLedger, month: string) =>
  JSON.parse(readFileSync(join(ledger.dir, `usage_entry-${month}.json`), "utf8"));
/** Lines; the one note with line ends is joined to its entry by its quotes. */
const plain = (ledger: OpenLedger, month: string) =>
  gunzipSync(bytesOf(ledger, month))
    .toString()
    .split(/\r\n(?=id|[\da-f]{8}-)/);

test("an auditor needs the file, its manifest, zcat and sha256sum", async () => {
  const ledger = await openLedger(filled);
  await archiveAll(ledger);
  const [empty, second] = ledger.months;
  const path = join(ledger.dir, `usage_entry-${second}.csv.gz`);
  const sum = (command: string) => execFileSync("sh", ["-c", command, "sh", path], { encoding: "utf8" }).slice(0, 64);
  const manifest = manifestOf(ledger, second);
  expect(manifest).toMatchObject({
    month: second,
    entries: 4,
    kinds: {
      accept: { entries: 2, units: 7 },
      correction: { entries: 1, units: -2 },
      sandbox: { entries: 1, units: 9 },
    },
    file_sha256: sum('sha256sum < "$1"'),
    plain_sha256: sum('zcat "$1" | sha256sum'),
    previous_manifest_sha256: sum(`sha256sum < "${ledger.dir}/usage_entry-${empty}.json"`),
  });
  expect(manifestOf(ledger, empty)).toMatchObject({ entries: 0, first_id: null, previous_manifest_sha256: null });
  const [record] = (await listArchives(ledger.db)).filter(({ month }) => month === second);
  expect(record).toMatchObject({ fileSha256: manifest.file_sha256, plainSha256: manifest.plain_sha256, entries: 4 });
});

test("the auditor's sums of docs/archive.md are those of the statement", async () => {
  const ledger = await openLedger(filled);
  await archiveAll(ledger);
  const [, script = ""] = /```\n(zcat [^`]*awk[^`]*)```/.exec(
    readFileSync(join(import.meta.dirname, "../../docs/archive.md"), "utf8"),
  )!;
  const { rows } = await ledger.pool.query<{ start: string; lines: string }>(
    `select to_char(s.period_start at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') as start,
            string_agg(l.subaccount_id || ' ' || l.messages || ' ' || l.units, E'\n' order by l.subaccount_id) as lines
       from statement s join statement_line l on l.statement_id = s.id where l.messages > 0 group by 1 order by 1`,
  );
  expect(rows).toHaveLength(3);
  for (const { start, lines } of rows) {
    const mine = script
      .replace("2026-08-01T00:00:00.000000Z", start)
      .replace("usage_entry-2026-0[789].csv.gz", "*.csv.gz");
    expect(execFileSync("sh", ["-c", mine], { cwd: ledger.dir, encoding: "utf8" })).toBe(`${lines}\n`);
  }
});

test("what usage, statements and exports say of archived periods is what they said before", async () => {
  const ledger = await openLedger(filled);
  const before = await said(ledger);
  expect(before.corrections).toEqual([-2, 1, 0]);
  expect(before.daily.flat().reduce((sum, { units }) => sum + units, 0)).toBe(20);
  await archiveAll(ledger);
  expect(await said(ledger)).toEqual(before);
  await restoreMonth(ledger.db, ledger.months[1], ledger.options);
  expect(await said(ledger)).toEqual(before);
});

/** All that is told of the three periods with mail. */
async function said({ db, clock, masterId, subaccountId, months }: OpenLedger) {
  const { calendar } = await findMaster(db, operator, masterId, clock);
  const starts = months.slice(1).map((month) => `${month}-01`);
  const usage = [];
  const daily = [];
  const drafts = [];
  const dates = [];
  for (const date of starts) {
    usage.push(await readUsage(db, operator, subaccountId, date, clock));
    const read = await readDailyUsage(db, operator, subaccountId, date, clock);
    daily.push(read.days);
    dates.push(await listDateUsage(db, operator, { masterId, period: date, limit: 100 }, clock));
    drafts.push(await draftStatement(db, masterId, read.period));
  }
  const corrections = usage.map((one) => one.corrections);
  return { calendar, usage, daily, drafts, dates, corrections, rows: await exportUsage(db, operator, { limit: 100 }) };
}

test("an archived charge can't be corrected any more, and the answer says what to do", async () => {
  const ledger = await openLedger(filled);
  const correct = (units: number) =>
    addCorrection(ledger.db, operator, { messageId: ledger.first, units, note: "late" }, ledger.clock);
  await archive(ledger, ledger.months[0]);
  await archive(ledger, ledger.months[1]);
  const id = formatId("msg", ledger.first);
  await expect(correct(-1)).rejects.toMatchObject({
    kind: "conflict",
    message: `What was charged in ${ledger.months[1]} is archived: ${id} can't be corrected any more. Correct a newer message of the subaccount by as many units, or restore the month: postmeter ledger restore --month ${ledger.months[1]}`,
  });
  await archive(ledger, ledger.months[2]);
  await restoreMonth(ledger.db, ledger.months[1], ledger.options);
  // Its correction of the third month is in a file: what is left of the charge is not known.
  await expect(correct(-3)).rejects.toMatchObject({
    kind: "conflict",
    message: expect.stringContaining(`restore --month ${ledger.months[2]}`),
  });
  await restoreMonth(ledger.db, ledger.months[2], ledger.options);
  await expect(correct(-3)).rejects.toMatchObject({
    kind: "invalid",
    message: expect.stringContaining("Of this message 2 of 3 units"),
  });
  await correct(-2);
  expect(await verify(ledger)).toMatchObject({ ok: true, differences: [] });
});

test("a restored month holds the same entries, to the microsecond and the last quote, and goes again when it is asked to", async () => {
  const ledger = await openLedger(filled);
  const before = await entries(ledger);
  expect(before.map(({ note }) => note)).toContain(NOTE);
  await archiveAll(ledger);
  const file = bytesOf(ledger, ledger.months[1]);
  await expect(restoreMonth(ledger.db, monthAfter(ledger.months[3]), ledger.options)).rejects.toMatchObject({
    kind: "not-found",
  });
  for (const month of ledger.months) await restoreMonth(ledger.db, month, ledger.options);
  await expect(restoreMonth(ledger.db, ledger.months[1], ledger.options)).rejects.toMatchObject({ kind: "conflict" });
  expect(await entries(ledger)).toEqual(before);
  const exact = "select array_agg(accepted_at::text order by id) as at from usage_entry";
  const original = await openLedger(filled);
  expect((await ledger.pool.query(exact)).rows).toEqual((await original.pool.query(exact)).rows);
  expect(await dueMonths(ledger.db, RETENTION_MS)).not.toContain(ledger.months[1]); // the job leaves it alone
  await archive(ledger, ledger.months[1]);
  expect(bytesOf(ledger, ledger.months[1])).toEqual(file);
  expect(await verify(ledger)).toMatchObject({ ok: true, differences: [], unread: [] });
  const { rows } = await ledger.pool.query(
    "select action, count(*)::int as n from audit_entry where action like 'ledger.%d' group by 1 order by 1",
  );
  expect(rows).toEqual([
    { action: "ledger.archived", n: 5 },
    { action: "ledger.corrected", n: 2 },
    { action: "ledger.restored", n: 4 },
  ]);
});

test("an entry that comes into a restored day is counted, and keeps its month from going as it was", async () => {
  const ledger = await openLedger(filled);
  await archiveAll(ledger);
  await restoreMonth(ledger.db, ledger.months[1], ledger.options);
  await ledger.pool.query(
    `insert into usage_entry select (substr(id::text, 1, 24) || '000000000001')::uuid, master_id, subaccount_id, period_start, 8, 'accept', null, null, accepted_at
       from usage_entry where id = $1`,
    [ledger.first],
  );
  const { rows } = await ledger.pool.query("select count(*)::int as n from summed_day where entry_day = $1", [
    `${ledger.months[1]}-10`,
  ]);
  expect(rows).toEqual([{ n: 0 }]); // its sums were taken back
  await expect(archive(ledger, ledger.months[1])).rejects.toThrow("not summed yet");
  await sumDays(ledger.db);
  await expect(archive(ledger, ledger.months[1])).rejects.toThrow("are not those of its file");
  expect((await verify(ledger)).ok).toBe(false);
});

describe("a month stays while something waits for its entries:", () => {
  const reasons: [why: string, deed: (ledger: OpenLedger) => string, told: RegExp][] = [
    [
      "a day is not summed",
      ({ months }) => `delete from summed_day where entry_day = '${months[1]}-10'`,
      /-10 is not summed yet, which the job sum_days does$/,
    ],
    [
      "two days are not summed",
      ({ months }) => `delete from summed_day where entry_day between '${months[1]}-10' and '${months[1]}-11'`,
      /^2 days from .*-10 to .*-11 are not summed yet/,
    ],
    [
      "a statement is not closed",
      ({ months }) =>
        `delete from statement_line; delete from statement where period_start >= '${months[1]}-01' and period_start < '${months[2]}-01'`,
      /^mas_\w+ has no statement yet of its period from \d{4}-\d\d-01$/,
    ],
    [
      "messages are stored",
      ({ months }) =>
        `create table message_${months[1].replace("-", "")}10 partition of message for values from (uuid_at('${months[1]}-10 00:00Z')) to (uuid_at('${months[1]}-11 00:00Z'))`,
      /-10 is stored still, until POSTMETER_RETENTION_MESSAGES/,
    ],
  ];
  test.for(reasons)("%s", async ([, deed, told]) => {
    const ledger = await openLedger(filled);
    await archive(ledger, ledger.months[0]);
    expect(await waitsFor(ledger.db, ledger.months[1], RETENTION_MS)).toEqual([]);
    await unguarded(ledger);
    await ledger.pool.query(deed(ledger));
    expect(await waitsFor(ledger.db, ledger.months[1], RETENTION_MS)).toEqual([expect.stringMatching(told)]);
    await expect(archive(ledger, ledger.months[1])).rejects.toMatchObject({
      kind: "conflict",
      message: expect.stringContaining("can't be archived yet"),
    });
    expect(await archiveNext(ledger.db, ledger.options)).toEqual({
      month: ledger.months[1],
      waits: [expect.stringMatching(told)],
    });
    expect(readdirSync(ledger.dir)).toHaveLength(2); // those of the month before
    expect(await entries(ledger)).toHaveLength(9);
  });

  test("a closed master's last correction, which no statement will ever have, holds nobody up", async () => {
    const ledger = await openLedger(filled);
    await unguarded(ledger);
    await ledger.pool.query(
      `delete from statement_line; delete from statement where period_start >= '${ledger.months[1]}-01'`,
    );
    await ledger.pool.query("update master set state = 'closed'");
    expect(await waitsFor(ledger.db, ledger.months[1], RETENTION_MS)).toHaveLength(1); // it had mail: the job closes it
    await ledger.pool.query("delete from usage");
    expect(await waitsFor(ledger.db, ledger.months[1], RETENTION_MS)).toEqual([]);
  });
});

test("months go one after the other, and none that is younger than the setting", async () => {
  const ledger = await openLedger(filled);
  const [first, second, third] = ledger.months;
  const end = Date.parse(`${second}-01`);
  const justEnough = ledger.clock.now().getTime() - end;
  expect(await dueMonths(ledger.db, justEnough)).toEqual([first]);
  expect(await dueMonths(ledger.db, justEnough + DAY_MS)).toEqual([]);
  await expect(archive(ledger, third)).rejects.toThrow(`${first} comes first`);
  await expect(archive(ledger, monthAfter(first, -1))).rejects.toThrow(`it begins with ${first}`);
  expect(await archiveNext(ledger.db, ledger.options)).toMatchObject({ month: first, archived: true });
  expect(await archiveNext(ledger.db, ledger.options)).toMatchObject({ month: second });
  await expect(archive(ledger, second)).rejects.toThrow(
    `${second} is archived already, in usage_entry-${second}.csv.gz`,
  );
  const young = archiveMonth(ledger.db, third, { ...ledger.options, retentionMs: 400 * DAY_MS });
  await expect(young).rejects.toThrow(/it is too young: until \d{4}-\d\d-\d\d its entries stay in the database/);
  expect(existsSync(join(ledger.dir, `usage_entry-${third}.csv.gz`))).toBe(false);
});

test("the record says what was written, and can't be made to say something else; nor go the sums that stand for a file", async () => {
  const ledger = await openLedger(filled);
  await archiveAll(ledger);
  const refused = "ledger_archive says what was written";
  for (const deed of [
    "update ledger_archive set entries = entries + 1",
    "delete from ledger_archive",
    "truncate ledger_archive",
  ])
    await expect(ledger.pool.query(deed)).rejects.toThrow(refused);
  await expect(ledger.pool.query("delete from summed_day")).rejects.toThrow("are archived: restore the month");
  const late = `insert into usage_entry values ('${ledger.first}', '${ledger.masterId}', '${ledger.subaccountId}', now(), 1, 'accept', null, null, now())`;
  await expect(ledger.pool.query(late)).rejects.toThrow("no partition of relation");
});

test("mail is accepted, each message of it, while months go and come back", async () => {
  const ledger = await openLedger(filled);
  await ensurePartitions(ledger.db);
  const calendar = { anchorDay: 1, timeZone: "America/New_York" };
  const { masterId } = ledger;
  const account = { masterId, subaccountId: await seedSubaccount(ledger, masterId, { monthlyLimit: null }) };
  let [stop, sent] = [false, 0];
  const sending = (async () => {
    for (; !stop; sent += 1) {
      const { kind } = await acceptUnits(ledger, account, 1, calendar);
      if (kind !== "accepted") return kind;
    }
    return "all accepted";
  })();
  await archiveAll(ledger);
  for (const month of ledger.months) await restoreMonth(ledger.db, month, ledger.options);
  for (const month of ledger.months) await archive(ledger, month);
  stop = true;
  expect(await sending).toBe("all accepted");
  expect(sent).toBeGreaterThan(10);
  expect(await verify(ledger)).toMatchObject({ ok: true, differences: [], read: { archive: 9, entries: sent } });
});

test("a kept sum that reaches into a second date, since the zone was another one, counts on the first when it is archived", async () => {
  const ledger = await openLedger(filled);
  const [, month] = ledger.months;
  const { period } = await readDailyUsage(ledger.db, operator, ledger.subaccountId, `${month}-01`, ledger.clock);
  const dates = [
    { date: `${month}-01`, startMs: period.start.getTime() },
    { date: `${month}-10`, startMs: Date.parse(`${month}-10T18:00:00Z`) },
  ];
  const sums = () => sumDates(ledger.db, { id: ledger.subaccountId, masterId: ledger.masterId, period }, dates);
  const before = await sums();
  expect(before).toEqual(new Map([[0, { messages: 2, units: 7, corrections: -2 }]]));
  const [day, dayBefore] = [`${month}-10`, `${month}-09`];
  await ledger.pool.query("update usage_day set since = entry_day::timestamp at time zone 'UTC' where entry_day = $1", [
    day,
  ]);
  const list = async () => {
    const rows = await listDateUsage(
      ledger.db,
      operator,
      { masterId: ledger.masterId, period: `${month}-01`, limit: 9 },
      ledger.clock,
    );
    return rows.map(({ date, units }) => [date, units]);
  };
  expect(await list()).toEqual([[day, 7]]);
  await archiveAll(ledger);
  expect(await sums()).toEqual(before);
  expect(await list()).toEqual([[dayBefore, 7]]); // as New York has it
});
