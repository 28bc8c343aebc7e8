/** What a statement says beside the ledger's sums: credits, shares of the overage, refusals, billing profiles, its number. */
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { beforeAll, describe, expect, test } from "vitest";
import { createBillingProfile } from "../../src/accounts/billing-profiles.ts";
import { findSubaccount } from "../../src/accounts/find.ts";
import type { MasterPrincipal, Operator } from "../../src/accounts/principal.ts";
import { closeMaster } from "../../src/metering/close.ts";
import { addCorrection } from "../../src/metering/correction.ts";
import { periodAt } from "../../src/metering/period.ts";
import { readStatement } from "../../src/metering/read-statement.ts";
import { createRefusalRecorder } from "../../src/metering/refusals.ts";
import { addFigures, hashChain, hashLines, NO_FIGURES, shareOverage } from "../../src/metering/statement.ts";
import { statementCsv } from "../../src/metering/statement-csv.ts";
import { groupLines, onlyProfile } from "../../src/metering/statement-groups.ts";
import { verifyLedger } from "../../src/metering/verify.ts";
import type { MessageId, StatementId, SubaccountId } from "../../src/platform/ids.ts";
import { newId } from "../../src/platform/ids.ts";
import { addPack, allocateCredits } from "../../src/quota/credits.ts";
import { seedMaster, seedSubaccount } from "../support/accounts.ts";
import { type TestDatabase, testDatabase } from "../support/database.ts";
import { acceptUnits, later } from "../support/ledger.ts";
import { silentLog } from "../support/log.ts";
import { utcMonths } from "../support/submission.ts";
import { tampered, unguarded } from "../support/tampering.ts";

const operator: Operator = { kind: "operator", via: "cli" };
const { end } = periodAt(utcMonths, new Date());
const beyond = (database: TestDatabase, months = 1) =>
  later(database, end.getTime() - database.clock.now().getTime() + 120_000 + (months - 1) * 31 * 86_400_000);

/** Two subaccounts of a master whose allowance of 10 they pass by 9, three of them paid by credits. */
async function scene() {
  const database = await testDatabase();
  const { db, clock } = database;
  const { masterId, ownSubaccountId } = await seedMaster(database, { allowance: 10, overage: "bill" });
  const principal: MasterPrincipal = { kind: "master", masterId, keyId: null, scopes: ["full"] };
  const shop = await seedSubaccount(database, masterId, { name: "Shop", monthlyLimit: 5 });
  const mill = await seedSubaccount(database, masterId, { name: "Mill", monthlyLimit: null });
  const profile = (name: string, isDefault: boolean) =>
    createBillingProfile(
      db,
      principal,
      { name, currency: "EUR", costCentre: "=4711", address: `${name}\nQuay 1`, isDefault },
      clock,
    );
  await profile("Main", true);
  await profile("Berlin", false);
  await profile("Unused", false);
  const name = (id: SubaccountId, label: string) =>
    database.pool.query("update subaccount set billing_profile = $2 where id = $1", [id, label]);
  await name(shop, "Berlin");
  await name(mill, "A label");
  const send = (subaccountId: SubaccountId, units: number) => acceptUnits(database, { masterId, subaccountId }, units);
  await send(ownSubaccountId, 2);
  await send(shop, 5);
  await addPack(db, operator, { masterId, units: 4 }, clock);
  await allocateCredits(db, principal, await findSubaccount(db, principal, shop, clock), 4, clock);
  expect(await send(shop, 3)).toMatchObject({ kind: "accepted" });
  const { id: messageId } = (await send(mill, 9)) as { id: MessageId };
  const recorder = createRefusalRecorder({ pool: database.pool, clock, log: silentLog });
  for (const [subaccountId, units] of [[shop, 4], [shop, 0], [mill, 1]] as const) // biome-ignore format: a table
    recorder.refused({ masterId, subaccountId, period: periodAt(utcMonths, clock.now()), reason: "size", units });
  await recorder[Symbol.asyncDispose]();
  const read = (at: TestDatabase, of = "current") => readStatement(at.db, principal, of, at.clock);
  return { database, masterId, ownSubaccountId, principal, shop, mill, messageId, read };
}

const start = periodAt(utcMonths, new Date()).start.toISOString().slice(0, 10);

describe("credits, overage, refusals and billing profiles", () => {
  let it: Awaited<ReturnType<typeof scene>>;
  let after: TestDatabase;

  beforeAll(async () => {
    it = await scene();
    after = await beyond(it.database);
    await closeMaster(after.db, it.masterId, after);
    return () => after[Symbol.asyncDispose]();
  });

  const lineOf = async (id: SubaccountId) =>
    (await it.read(after, start)).lines.find((line) => line.subaccountId === id);

  test("units paid by credits are no overage, and the lines share what is left by what they have to pay for", async () => {
    expect(await it.read(after, start)).toMatchObject({
      units: 19,
      credits: 3,
      overageUnits: 6,
      refused: 3,
      number: 1,
    });
    expect(await lineOf(it.ownSubaccountId)).toMatchObject({ units: 2, credits: 0, overageUnits: 1, refused: 0 });
    expect(await lineOf(it.shop)).toMatchObject({ units: 8, credits: 3, overageUnits: 2, refused: 2 });
    expect(await lineOf(it.mill)).toMatchObject({ units: 9, credits: 0, overageUnits: 3, refused: 1 });
  });

  test("lines sum to groups and groups to the statement, in the order of the profiles' names, and the sheets are the groups", async () => {
    const statement = await it.read(after, start);
    const groups = groupLines(statement);
    expect(groups.map(({ name, profile }) => [name, profile?.currency, profile?.costCentre, profile?.address])).toEqual(
      [
        ["A label", undefined, undefined, undefined],
        ["Berlin", "EUR", "=4711", "Berlin\nQuay 1"],
        ["Main", "EUR", "=4711", "Main\nQuay 1"],
      ],
    );
    expect(groups.reduce(addFigures, NO_FIGURES)).toEqual({
      ...NO_FIGURES,
      messages: 4,
      units: 19,
      credits: 3,
      overageUnits: 6,
      refused: 3,
    });
    for (const { name, lines, units, credits, overageUnits, refused } of groups) {
      const sheet = onlyProfile(statement, name);
      expect(sheet).toMatchObject({ lines, units, credits, overageUnits, refused, linesHash: statement.linesHash });
      expect(statementCsv(sheet).trimEnd().split("\r\n").slice(1)).toHaveLength(lines.length);
    }
    expect(() => onlyProfile(statement, null)).toThrow("No line of this statement");
    expect(() => onlyProfile(statement, "Unused")).toThrow("No line of this statement");
  });

  test("the table has the frozen profile, and its text is no formula", async () => {
    const csv = statementCsv(await it.read(after, start));
    expect(csv).toContain(`,8,0,8,3,2,2,"Berlin",EUR,"'=4711",1,,,,,,,,\r\n`);
    expect(csv).toContain(`,9,0,9,0,3,1,"A label",,"",1,,,,,,,,\r\n`);
  });

  test("a closed statement keeps profiles and refusals as they were, whatever becomes of them", async () => {
    const before = await it.read(after, start);
    await after.pool.query("update billing_profile set currency = 'CHF', address = 'elsewhere', is_default = false");
    await after.pool.query("update subaccount set billing_profile = 'Main'");
    await after.pool.query("delete from refusal");
    expect(await it.read(after, start)).toEqual(before);
    expect((await verifyLedger(after.db, after.clock)).differences).toEqual([]);
  });

  const hashed = "its figures or lines are not those that were hashed";
  const lies: [lie: string, statement: (of: typeof it) => string, detail: RegExp][] = [
    ["credits of a line", ({ shop }) => `update statement_line set credits = 2 where subaccount_id = '${shop}'`, /says 2 credits; their journal 3/],
    ["credits in total", () => "update statement set credits = 4", /4 credits, 3 refused; its lines .* 3 credits/],
    ["an entry of the journal", () => "update credit_entry set units = 1", /says 3 credits; their journal 1/],
    ["an entry of the journal for another account", ({ masterId }) => `update credit_entry set subaccount_id = '${masterId}'`, /no line for sub_.*; the journal of credits has 3/],
    ["a line's share", ({ mill }) => `update statement_line set overage_units = 4 where subaccount_id = '${mill}'`, /has 4 of the overage; its share is 3/],
    ["refusals of a line", () => "update statement_line set refused = refused + 1", /3 refused; its lines .* 6 refused/],
    ["refusals in total", () => "update statement set refused = 4", /4 refused; its lines/],
    ["a line's profile", () => "update statement_line set billing_profile = 'Main'", new RegExp(hashed)],
    ["a line's lost profile", () => "update statement_line set billing_profile = null", new RegExp(hashed)],
    ["a profile's currency", () => "update statement_profile set currency = 'USD'", new RegExp(hashed)],
    ["a profile's cost centre", () => "update statement_profile set cost_centre = null", new RegExp(hashed)],
    ["a profile's address", () => "update statement_profile set address = 'elsewhere'", new RegExp(hashed)],
    ["a profile's name", () => "update statement_profile set name = name || '2'", new RegExp(hashed)],
    ["a profile less", () => "delete from statement_profile", new RegExp(hashed)],
    ["another number", () => "update statement set number = 2", /its number is 2, and would be 1/],
    ["another format", () => "update statement set format = 1", new RegExp(hashed)],
  ]; // biome-ignore format: a table

  test.each(lies)("%s that is changed is found", async (_lie, statement, detail) => {
    await tampered(after, [statement(it)], async () => {
      const { differences } = await verifyLedger(after.db, after.clock);
      expect(differences).toContainEqual(
        expect.objectContaining({ check: "statements", detail: expect.stringMatching(detail) }),
      );
      if (!_lie.startsWith("an entry")) expect(differences.map((one) => one.detail)).toContain(hashed);
    });
    expect((await verifyLedger(after.db, after.clock)).differences).toEqual([]);
  });

  test("what was changed with all its hashes still differs from journal, shares and numbers", async () => {
    const statement = await it.read(after, start);
    const lines = statement.lines.map((line) => ({ ...line, credits: 1, overageUnits: line.overageUnits + 1 }));
    const linesHash = hashLines({ ...statement, number: 5, credits: 3, lines });
    const hex = (hash: Buffer) => `'\\x${hash.toString("hex")}'`;
    const lie = [
      "update statement_line set credits = 1, overage_units = overage_units + 1",
      `update statement set number = 5, lines_hash = ${hex(linesHash)}, chain_hash = ${hex(hashChain(Buffer.alloc(32), linesHash))}`,
    ];
    await tampered(after, lie, async () => {
      const details = (await verifyLedger(after.db, after.clock)).differences.map(({ detail }) => detail);
      expect(details).not.toContain(hashed);
      expect(details).toContainEqual(expect.stringContaining("says 1 credits; their journal 3"));
      expect(details).toContainEqual(expect.stringContaining("of the overage; its share is"));
      expect(details).toContain("its number is 5, and would be 1");
    });
  });
});

test("a line that gets units back has no part of the overage, and the others share all of it", () => {
  const line = (units: number, corrections = 0, credits = 0) => ({ units, corrections, credits });
  const parts = (total: number, ...lines: ReturnType<typeof line>[]) =>
    shareOverage(total, lines).map(({ overageUnits }) => overageUnits);
  expect(parts(10, line(10), line(0, -5), line(10))).toEqual([5, 0, 5]);
  expect(parts(1, line(1), line(1), line(1))).toEqual([0, 1, 0]);
  expect(parts(7, line(100), line(100, 0, 100), line(50, -50))).toEqual([7, 0, 0]);
  expect(parts(0, line(0), line(0))).toEqual([0, 0]);
  expect(parts(0)).toEqual([]);
});

test("statements of the first format, as the version before writes them, keep their hash and get a number", async () => {
  const { database, masterId, read, messageId } = await scene();
  const { db, clock } = database;
  await using after = await beyond(database, 2);
  const draft = await readStatement(db, operator, "current", clock, masterId);
  const linesHash = hashLines({ ...draft, format: 1 });
  const { period, allowance, cap, overage, units, messages, corrections, lines } = draft;
  const id = newId<StatementId>(clock);
  const chain = hashChain(Buffer.alloc(32), linesHash);
  await database.pool.query(
    `insert into statement (id, master_id, period_start, period_end, allowance, cap, overage, units, messages, corrections, lines_hash, chain_hash, closed_at)
     values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, now())`,
    [id, masterId, period.start, period.end, allowance, cap, overage, units, messages, corrections, linesHash, chain],
  );
  for (const line of lines)
    await database.pool.query(
      `insert into statement_line (statement_id, subaccount_id, name, external_id, monthly_limit, top_up, messages, units, corrections)
       values ($1, $2, $3, $4, $5, $6, $7, $8, $9)`,
      [id, line.subaccountId, line.name, line.externalId, line.monthlyLimit, line.topUp, line.messages, line.units, line.corrections],
    ); // biome-ignore format: as the columns
  await addCorrection(after.db, operator, { messageId, units: -1, note: "ours" }, after.clock);
  await closeMaster(after.db, masterId, after);
  expect((await verifyLedger(after.db, after.clock)).differences).toEqual([]);
  const first = await read(after, start);
  expect(first).toMatchObject({ format: 1, number: 1, credits: 0, overageUnits: 9, refused: 0, profiles: [] });
  expect(first.lines.reduce((sum, line) => sum + line.overageUnits, 0)).toBe(9);
  expect(groupLines(first)).toMatchObject([{ name: null, units: 19 }]);
  const { rows } = await after.pool.query("select number, format from statement order by period_start");
  expect(rows.slice(0, 2)).toEqual([{ number: 1, format: 1 }, { number: 2, format: 2 }]); // biome-ignore format: a table
});

test("the migration numbers what is closed already, in order of the periods, and each master apart", async () => {
  const database = await testDatabase();
  const masters = [await seedMaster(database), await seedMaster(database)];
  await using after = await beyond(database, 3);
  for (const { masterId } of masters) await closeMaster(after.db, masterId, after);
  const numbered = async () =>
    (await database.pool.query("select master_id, period_start, number from statement order by 1, 2")).rows;
  const before = await numbered();
  expect(before.length).toBeGreaterThanOrEqual(6);
  await unguarded(database);
  await database.pool.query(`drop table statement_profile; drop trigger number_statement on statement;
    drop function number_statement; drop function next_statement_number; drop index statement_line_by_subaccount;
    alter table statement drop column format, drop column number, drop column credits, drop column refused;
    alter table statement_line drop column credits, drop column overage_units, drop column refused, drop column billing_profile`);
  const file = join(import.meta.dirname, "..", "..", "migrations", "0041_statements.sql");
  await database.pool.query(await readFile(file, "utf8"));
  expect(await numbered()).toEqual(before);
});

test("numbers have no gaps and no doubles when many close at once: none of them fails, and one that does leaves none", async () => {
  const database = await testDatabase();
  const { masterId } = await seedMaster(database);
  const crowd = (at: TestDatabase) => Array.from({ length: 4 }, () => closeMaster(at.db, masterId, at));
  await using after = await beyond(database, 12);
  await Promise.all(crowd(after));
  await database.pool.query(
    "create function fails() returns trigger language plpgsql as $$ begin if random() < 0.3 then raise 'played failure'; end if; return new; end $$",
  );
  await database.pool.query("create trigger fails before insert on statement for each row execute function fails()");
  await using later = await beyond(database, 18);
  for (let i = 0; i < 5; i += 1) await Promise.allSettled(crowd(later));
  await database.pool.query("drop trigger fails on statement");
  await closeMaster(later.db, masterId, later);
  const { rows } = await later.pool.query<{ number: number }>("select number from statement order by period_start");
  expect(rows.length).toBeGreaterThanOrEqual(18);
  expect(rows.map(({ number }) => number)).toEqual(rows.map((_, i) => i + 1));
  expect((await verifyLedger(later.db, later.clock)).differences).toEqual([]);
});

test("a number that somebody has taken and not stored is given to the next, who waits for that", async () => {
  const database = await testDatabase();
  const { masterId } = await seedMaster(database);
  await using after = await beyond(database);
  const holder = await database.pool.connect();
  await holder.query("begin");
  expect((await holder.query("select next_statement_number($1) as n", [masterId])).rows).toEqual([{ n: 1 }]);
  const closing = closeMaster(after.db, masterId, after);
  for (let waiting = 0; waiting === 0; ) {
    const { rowCount } = await database.pool.query("select from pg_locks where locktype = 'advisory' and not granted");
    waiting = rowCount ?? 0;
  }
  await holder.query("rollback");
  holder.release();
  await closing;
  const { rows } = await after.pool.query("select number from statement");
  expect(rows).toEqual([{ number: 1 }]);
});
