/** The operator puts months of the ledger away, proves them and takes one back. */
import { rmSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, expect, test } from "vitest";
import { type FilledLedger, fillLedger, type OpenLedger, openLedger } from "../support/archive.ts";
import { runWith, secret } from "./house.ts";

let filled: FilledLedger;
beforeAll(async () => {
  filled = await fillLedger();
});

function operatorOf(ledger: OpenLedger, more: NodeJS.ProcessEnv = {}) {
  const env = {
    POSTMETER_DATABASE_URL: ledger.url,
    POSTMETER_SECRET: secret,
    POSTMETER_CLOCK_OFFSET: `+${Math.round(ledger.clockOffsetMs / 1000)}s`,
    POSTMETER_ARCHIVE_DIR: ledger.dir,
    POSTMETER_RETENTION_LEDGER: "93d",
    ...more,
  };
  return Object.assign((...argv: string[]) => runWith(env, "ledger", ...argv), { env });
}

test("what is due goes, with its steps told; verify reads the files; a missing one makes it fail, unless it is left out", async () => {
  const ledger = await openLedger(filled);
  const run = operatorOf(ledger);
  const [first, second, third, fourth] = ledger.months;
  const plan = await run("archive", "--dry-run");
  expect(plan).toMatchObject({ code: 0, err: "" });
  expect(plan.out).toMatch(new RegExp(`^month +entries +waits for\n${first} +0 +nothing\n${second} +4 +nothing\n`));
  expect(await run("archives")).toMatchObject({ code: 0, out: "none\n" });
  const done = await run("archive");
  expect(done.code).toBe(0);
  const steps = ["written", "compared", "recorded", "removed"];
  expect(done.err).toContain(steps.map((step) => `${second}: ${step}\n`).join(""));
  const archives = JSON.parse((await run("archives", "--json")).out).data;
  expect(archives.map(({ month }: { month: string }) => month).slice(0, 4)).toEqual([first, second, third, fourth]);
  expect(archives[1]).toMatchObject({
    entries: 4,
    archived: true,
    restored_at: null,
    file: `usage_entry-${second}.csv.gz`,
  });
  expect(await run("archive")).toEqual({ code: 0, err: "", out: "no month is due\n" });
  const good = await run("verify");
  expect(good).toMatchObject({
    code: 0,
    out: expect.stringMatching(/^The ledger is in order: 0 entries.*, and 9 entries of the archive\.\n$/),
  });
  rmSync(join(ledger.dir, `usage_entry-${second}.csv.gz`));
  const looked = await runWith(run.env, "doctor", "--json");
  expect(JSON.parse(looked.out).findings).toContainEqual({
    check: "archive",
    state: "warn",
    detail: `1 of ${archives.length} files are not in ${ledger.dir}, usage_entry-${second}.csv.gz first`,
    advice: expect.stringContaining("POSTMETER_ARCHIVE_DIR"),
  });
  const bad = await run("verify");
  expect(bad.code).toBe(1);
  expect(bad.out).toMatch(
    new RegExp(`archive +${second} +unverified: its file usage_entry-${second}.csv.gz is not in`),
  );
  const without = await run("verify", "--without-archive", "--json");
  expect(without.code).toBe(0);
  expect(JSON.parse(without.out)).toMatchObject({
    ok: true,
    read: { archive: 0 },
    unread: archives.map((one: { month: string }) => one.month),
  });
});

test("one month goes when it is named, and comes back", async () => {
  const ledger = await openLedger(filled);
  const run = operatorOf(ledger, { POSTMETER_RETENTION_LEDGER: "never" });
  const [first, second] = ledger.months;
  expect(await run("archive")).toMatchObject({
    code: 1,
    err: "postmeter: POSTMETER_RETENTION_LEDGER is never: set it, or name a month with --month.\n",
  });
  expect(await run("archive", "--month", second)).toMatchObject({
    code: 1,
    err: `postmeter: Months are archived one after the other: ${first} comes first.\n`,
  });
  expect(await run("restore", "--month", first)).toMatchObject({
    code: 1,
    err: `postmeter: ${first} is not in the archive: postmeter ledger archives lists it.\n`,
  });
  for (const month of [first, second]) expect((await run("archive", "--month", month)).code).toBe(0);
  const back = await run("restore", "--month", second, "--json");
  expect(back).toMatchObject({ code: 0, err: `${second}: checked\n${second}: loaded\n${second}: restored\n` });
  expect(JSON.parse(back.out)).toMatchObject({
    month: second,
    entries: 4,
    archived: false,
    restored_at: expect.any(String),
  });
  expect((await run("archives")).out).toMatch(/in the file.*in the database/s);
  expect(await run("restore", "--month", second)).toMatchObject({
    code: 1,
    err: `postmeter: The entries of ${second} are in the database: there is nothing to restore.\n`,
  });
});
