/** Whatever a run dies of, and wherever: each entry is in the database or in a file, once, and the next run ends what it began. */
import { existsSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { gunzipSync } from "node:zlib";
import { beforeAll, describe, expect, onTestFinished, test } from "vitest";
import { archiveMonth } from "../../src/metering/archive.ts";
import { holdArchive, listArchives } from "../../src/metering/archive-records.ts";
import { restoreMonth } from "../../src/metering/restore.ts";
import { sumDays } from "../../src/metering/sum-days.ts";
import { verifyLedger } from "../../src/metering/verify.ts";
import { type FilledLedger, fillLedger, type OpenLedger, openLedger } from "../support/archive.ts";
import { inChild } from "../support/archive-child.ts";
import { unguarded } from "../support/tampering.ts";

let filled: FilledLedger;
beforeAll(async () => {
  filled = await fillLedger();
});

/** The first month, which has no entries, is archived already. */
async function opened(): Promise<OpenLedger & { month: string; file: string }> {
  const ledger = await openLedger(filled);
  await archiveMonth(ledger.db, ledger.months[0], ledger.options);
  const month = ledger.months[1];
  return { ...ledger, month, file: join(ledger.dir, `usage_entry-${month}.csv.gz`) };
}

type Opened = Awaited<ReturnType<typeof opened>>;

const archive = (ledger: Opened, more: object = {}) =>
  archiveMonth(ledger.db, ledger.month, { ...ledger.options, ...more });
const restore = (ledger: Opened, more: object = {}) =>
  restoreMonth(ledger.db, ledger.month, { ...ledger.options, ...more });
const idsOf = async ({ pool }: OpenLedger) =>
  (await pool.query<{ id: string }>("select id from usage_entry order by id")).rows.map(({ id }) => id);

/** Every id of the ledger: of the database, and of the files of months that are in files alone. */
async function held(ledger: OpenLedger): Promise<string[]> {
  const archived = (await listArchives(ledger.db)).filter((record) => record.archived);
  const filed = archived.flatMap(({ file }) => {
    const text = gunzipSync(readFileSync(join(ledger.dir, file))).toString();
    return [...text.matchAll(/^([\da-f-]{36}),/gm)].map((match) => match[1]!);
  });
  return [...filed, ...(await idsOf(ledger))].sort();
}

async function expectWhole(ledger: OpenLedger, ids: readonly string[]): Promise<void> {
  expect(await held(ledger)).toEqual(ids);
  expect(await verifyLedger(ledger.db, ledger.clock, { archiveDir: ledger.dir })).toMatchObject({
    ok: true,
    differences: [],
    unread: [],
  });
}

async function killed(ledger: Opened, work: "archive" | "restore", fatal: string): Promise<void> {
  expect(await inChild(ledger, work, { month: ledger.month, fatal })).toEqual([null, "SIGKILL"]);
}

describe.each(["page", "written", "compared", "recorded", "removed"])("archiving, ended at: %s;", (fatal) => {
  const done = fatal === "removed";

  test("killed, nothing is lost or doubled, and the next run ends it", async () => {
    const ledger = await opened();
    const ids = await idsOf(ledger);
    await killed(ledger, "archive", fatal);
    await expectWhole(ledger, ids);
    expect((await idsOf(ledger)).length).toBe(done ? 5 : 9);
    if (!done) await archive(ledger);
    await expectWhole(ledger, ids);
    expect((await idsOf(ledger)).length).toBe(5);
  });

  test("by an error, neither", async () => {
    const ledger = await opened();
    const ids = await idsOf(ledger);
    const fail = () => {
      throw new Error("out of order");
    };
    const onStep = (step: string) => void (step === fatal && fail());
    await expect(archive(ledger, fatal === "page" ? { onPage: fail } : { onStep })).rejects.toThrow("out of order");
    await expectWhole(ledger, ids);
    expect(existsSync(`${ledger.file}.part`)).toBe(false);
    if (!done) await archive(ledger);
    await expectWhole(ledger, ids);
  });
});

describe.each(["checked", "page", "loaded", "restored"])("restoring, killed at: %s;", (fatal) => {
  test("the month is in one of both, and the next run ends it", async () => {
    const ledger = await opened();
    const ids = await idsOf(ledger);
    await archive(ledger);
    await killed(ledger, "restore", fatal);
    await expectWhole(ledger, ids);
    if (fatal !== "restored") await restore(ledger);
    await expectWhole(ledger, ids);
    expect(await idsOf(ledger)).toEqual(ids);
  });
});

test("what changes in the database while a month is on its way stays there", async () => {
  const ledger = await opened();
  await unguarded(ledger);
  const late = `insert into usage_entry select (substr(id::text, 1, 24) || '000000000001')::uuid, master_id, subaccount_id, period_start, 1, 'accept', null, null, accepted_at
    from usage_entry where id = '${ledger.first}'`;
  const gone = `delete from usage_entry where id = (substr('${ledger.first}', 1, 24) || '000000000001')::uuid`;
  /** Done by somebody else, in the middle of the run. */
  const whileOn = async (when: string, statement: string) => {
    const onStep = async (step: string) => void (step === when && (await ledger.pool.query(statement)));
    return await archive(ledger, { onStep }).catch((error: Error) => error.message);
  };
  expect(await whileOn("written", late)).toContain("are not those of its file. The ledger is untouched");
  expect((await idsOf(ledger)).length).toBe(10);
  await ledger.pool.query(gone);
  await sumDays(ledger.db);
  const asked = `delete from summed_day where entry_day = '${ledger.month}-10'`;
  expect(await whileOn("recorded", asked)).toContain("-10 are not kept any more: nothing was removed");
  await sumDays(ledger.db);
  expect(await whileOn("compared", late)).toMatch(
    /are not kept any more: nothing was removed|has changed since it was written/,
  );
  expect((await idsOf(ledger)).length).toBe(10);
  await ledger.pool.query(gone);
  await sumDays(ledger.db);
  const units = (by: string) => `update usage_entry set units = units ${by} 1 where id = '${ledger.first}'`;
  expect(await whileOn("compared", units("+"))).toMatch(
    /has changed since it was written: 2 accept \(8 units\).* in the database, 2 accept \(7 units\)/,
  );
  await ledger.pool.query(units("-"));
  const ids = await idsOf(ledger);
  await archive(ledger);
  await expectWhole(ledger, ids);
});

test("what changes on the disk is noticed before anything goes", async () => {
  const ledger = await opened();
  const ids = await idsOf(ledger);
  const spoil = (when: string) => (step: string) => void (step === when && writeFileSync(ledger.file, "other bytes"));
  await expect(archive(ledger, { onStep: spoil("written") })).rejects.toThrow("does not read as it was written");
  const fail = (step: string) => {
    if (step === "recorded") throw new Error("out of order");
  };
  await expect(archive(ledger, { onStep: fail })).rejects.toThrow("out of order");
  const good = readFileSync(ledger.file);
  writeFileSync(ledger.file, "other bytes");
  await expect(archive(ledger)).rejects.toThrow(/was written before, but its file .* is not the one that was written/);
  rmSync(ledger.file);
  await expect(archive(ledger)).rejects.toThrow(/was written before, but its file .* is not in /);
  expect(await idsOf(ledger)).toEqual(ids);
  writeFileSync(ledger.file, good);
  await archive(ledger);
  await expectWhole(ledger, ids);
});

test.runIf(process.platform === "linux").each(["csv.gz", "json"])(
  "a full disk (%s) leaves the database as it was, says so, and leaves nothing half written behind",
  async (kind) => {
    const ledger = await opened();
    const ids = await idsOf(ledger);
    const part = join(ledger.dir, `usage_entry-${ledger.month}.${kind}.part`);
    symlinkSync("/dev/full", part);
    await expect(archive(ledger)).rejects.toMatchObject({
      kind: "unavailable",
      message: expect.stringMatching(
        /^The ledger is untouched: .*could not be written or read: ENOSPC.* Look at POSTMETER_ARCHIVE_DIR/,
      ),
    });
    expect(existsSync(part)).toBe(false);
    await expectWhole(ledger, ids);
    expect(await idsOf(ledger)).toEqual(ids);
    await archive(ledger);
    await expectWhole(ledger, ids);
  },
);

test("a folder that can't be made is named", async () => {
  const ledger = await opened();
  const file = join(mkdtempSync(join(tmpdir(), "postmeter-archive-")), "file");
  onTestFinished(() => rmSync(join(file, ".."), { recursive: true }));
  writeFileSync(file, "");
  await expect(archive(ledger, { dir: join(file, "archive") })).rejects.toThrow(/^The ledger is untouched: .*ENOTDIR/);
});

test("a long transaction of somebody else's keeps the month where it is", async () => {
  const ledger = await opened();
  const reader = await ledger.pool.connect();
  await reader.query("begin; select count(*) from usage_entry");
  await expect(archive(ledger)).rejects.toThrow("are in use by long transactions: nothing was removed");
  await reader.query("commit");
  reader.release();
  expect((await idsOf(ledger)).length).toBe(9);
  expect(await archive(ledger)).toMatchObject({ archived: true });
});

test("one run at a time, and none while the ledger is verified; who verifies waits for a run", async () => {
  const ledger = await opened();
  const ended = Promise.withResolvers<void>();
  const held = Promise.withResolvers<void>();
  const holding = holdArchive(ledger.db, () => {
    held.resolve();
    return ended.promise;
  });
  await held.promise;
  await expect(archive(ledger)).rejects.toMatchObject({
    kind: "conflict",
    message: expect.stringContaining("Try again when that is done"),
  });
  let verified = false;
  const verifying = verifyLedger(ledger.db, ledger.clock).finally(() => {
    verified = true;
  });
  await sleep(300);
  expect(verified).toBe(false);
  ended.resolve();
  await holding;
  expect((await verifying).ok).toBe(true);
  expect(await archive(ledger)).toMatchObject({ archived: true });
});
