/**
 * Whatever happens in whatever order, the books agree: what was answered, the ledger, the counters, the statements with their groups,
 * usage by date, the export and the journal of credits, to the unit; and one number that is wrong anywhere is found.
 */
import fc from "fast-check";
import { sql } from "kysely";
import { beforeAll, describe, expect, test } from "vitest";
import { findMaster } from "../../src/accounts/find.ts";
import type { MasterPrincipal, Operator } from "../../src/accounts/principal.ts";
import { listDateUsage } from "../../src/metering/dates-usage.ts";
import type { Difference } from "../../src/metering/difference.ts";
import { exportUsage, type UsageRow } from "../../src/metering/export.ts";
import { periodDate, rulingAnchor } from "../../src/metering/period.ts";
import { listStatements, readStatement } from "../../src/metering/read-statement.ts";
import type { Part } from "../../src/metering/scope.ts";
import { addFigures, NO_FIGURES, type Statement } from "../../src/metering/statement.ts";
import { groupLines } from "../../src/metering/statement-groups.ts";
import { verifyLedger } from "../../src/metering/verify.ts";
import type { Db } from "../../src/platform/database.ts";
import { formatId, type MasterId, type SubaccountId } from "../../src/platform/ids.ts";
import { unguarded } from "../support/tampering.ts";
import { type History, history, type Played, play } from "./histories.ts";

type Sum = { messages: number; units: number; corrections: number };
type Keyed = Sum & { key: string };

const keyOf = (masterId: string, start: Date, subaccountId: string) =>
  [masterId, start.toISOString(), subaccountId].join();
const text = ({ messages, units, corrections }: Sum) =>
  `${messages} messages, ${units} units, ${corrections} corrections`;

function summed(rows: readonly Keyed[]): Map<string, string> {
  const sums = new Map<string, Sum>();
  for (const { key, messages, units, corrections } of rows) {
    const sum = sums.get(key) ?? { messages: 0, units: 0, corrections: 0 };
    sums.set(key, {
      messages: sum.messages + messages,
      units: sum.units + units,
      corrections: sum.corrections + corrections,
    });
  }
  return new Map(
    [...sums].filter(([, sum]) => sum.messages > 0 || sum.corrections !== 0).map(([key, sum]) => [key, text(sum)]),
  );
}

async function statementsOf({ database: { db, clock }, masters }: Played): Promise<Statement[]> {
  const all: Statement[] = [];
  for (const masterId of masters) {
    const principal: MasterPrincipal = { kind: "master", masterId, keyId: null, scopes: ["full"] };
    const list = await listStatements(db, principal, { limit: 100 }, clock);
    expect(list.map(({ number }) => number)).toEqual(list.map((_, i) => list.length - i));
    for (const { id } of list) all.push(await readStatement(db, principal, formatId("stm", id!), clock));
  }
  return all;
}

async function exported({ database: { db } }: Played): Promise<UsageRow[]> {
  return exportUsage(db, { kind: "operator", via: "cli" }, { limit: 100_000 });
}

/** The entries themselves, by whatever they are asked for; nothing of the program sums them. */
async function entriesOf({ database: { pool } }: Played) {
  const { rows } = await pool.query<{
    master: string;
    sub: string;
    start: Date;
    kind: string;
    units: number;
    ms: number;
  }>(
    `select master_id as master, subaccount_id as sub, period_start as start, kind, units,
            ('x' || left(replace(id::text, '-', ''), 12))::bit(48)::bigint as ms from usage_entry where kind in ('accept', 'correction')`,
  );
  return rows.map(({ master, sub, start, kind, units, ms }) => ({
    ...{ key: keyOf(master, start, sub), sub: sub as SubaccountId, ms: Number(ms) },
    ...(kind === "accept" ? { messages: 1, units, corrections: 0 } : { messages: 0, units: 0, corrections: units }),
  }));
}

async function expectAgreement(played: Played): Promise<void> {
  const { books, database } = played;
  const statements = await statementsOf(played);
  const entries = await entriesOf(played);
  const rows = await exported(played);
  const ledger = summed(entries);
  // What was answered to those who sent, account by account.
  const answered = [...books.messages.keys(), ...books.corrections.keys()].map((key) => {
    const [messages, units, corrections] = [books.messages, books.units, books.corrections].map(
      (of) => of.get(key) ?? 0,
    );
    return [key as string, text({ messages: messages!, units: units!, corrections: corrections! })] as const;
  });
  expect(summed(entries.map((entry) => ({ ...entry, key: entry.sub })))).toEqual(new Map(answered));
  // Lines, groups, statements.
  const lines = statements.flatMap(({ masterId, period, lines: own }) =>
    own.map((line) => ({ ...line, key: keyOf(masterId, period.start, line.subaccountId) })),
  );
  expect(summed(lines)).toEqual(ledger);
  for (const statement of statements) {
    const { messages, units, corrections, credits, overageUnits, refused, allowance } = statement;
    const whole = { messages, units, corrections, credits, overageUnits, refused };
    const groups = groupLines(statement);
    expect(groups.reduce(addFigures, NO_FIGURES)).toEqual(whole);
    for (const group of groups)
      expect(group.lines.reduce(addFigures, NO_FIGURES)).toMatchObject({ units: group.units });
    expect(overageUnits).toBe(allowance === null ? 0 : Math.max(0, units + corrections - credits - allowance));
  }
  // Counters, and credits on the usage rows.
  const counters = await database.pool.query<{
    master: string;
    account: string;
    start: Date;
    used: number;
    credit: number;
  }>(
    "select master_id as master, account_id as account, period_start as start, used, credit_used as credit from usage where used > 0",
  );
  const counted = new Map(
    counters.rows.map((row) => [keyOf(row.master, row.start, row.account), [row.used, row.credit]]),
  );
  const stated = [
    ...lines.map(({ key, units, credits }) => [key, [units, credits]] as const),
    ...statements.map(
      ({ masterId, period, units, credits }) => [keyOf(masterId, period.start, masterId), [units, credits]] as const,
    ),
  ];
  expect(new Map(stated.filter(([, [units]]) => units! > 0))).toEqual(counted);
  // The export, row by row of an account and a day.
  expect(summed(rows.map((row) => ({ ...row, key: keyOf(row.masterId, row.periodStart, row.subaccountId) })))).toEqual(
    ledger,
  );
  const byRow = (key: string, since: Date) => `${key} ${since.toISOString()}`;
  const ofRow = entries.map((entry) => {
    const row = rows.find(
      (one) =>
        keyOf(one.masterId, one.periodStart, one.subaccountId) === entry.key &&
        one.since.getTime() <= entry.ms &&
        entry.ms < one.until.getTime(),
    );
    return { ...entry, key: byRow(entry.key, row!.since) };
  });
  const handed = rows.map((row) => ({
    ...row,
    key: byRow(keyOf(row.masterId, row.periodStart, row.subaccountId), row.since),
  }));
  expect(summed(handed)).toEqual(summed(ofRow));
  for (const statement of statements) await expectDates(played, statement, entries);
  expect((await verifyLedger(database.db, database.clock)).differences).toEqual([]);
}

/** Usage by date is that of the entries, each on the date of its id in the zone that rules the period. */
async function expectDates(
  { database: { db, clock } }: Played,
  { masterId, period }: Statement,
  entries: Awaited<ReturnType<typeof entriesOf>>,
): Promise<void> {
  const house: Operator = { kind: "operator", via: "cli" };
  const { calendar } = await findMaster(db, house, masterId, clock);
  const dateOf = new Intl.DateTimeFormat("sv-SE", { timeZone: rulingAnchor(calendar, period).timeZone });
  const within = (ms: number) => Math.min(Math.max(ms, period.start.getTime()), period.end.getTime() - 1);
  const own = entries.filter(({ key, sub }) => key === keyOf(masterId, period.start, sub));
  const expected = summed(own.map((entry) => ({ ...entry, key: `${dateOf.format(within(entry.ms))} ${entry.sub}` })));
  if (expected.size === 0) return; // where nothing was used, bounds of an earlier calendar are kept by statements alone
  const filter = { masterId, period: periodDate(calendar, period), limit: 1000 };
  const rows = await listDateUsage(db, house, filter, clock);
  expect(summed(rows.map((row) => ({ ...row, key: `${row.date} ${row.subaccountId}` })))).toEqual(expected);
}

test("after any history the books agree to the unit", { timeout: 60_000 }, async () => {
  await fc.assert(
    fc.asyncProperty(history, async (told) => {
      const played = await play(told);
      await using _ = played.database;
      await expectAgreement(played);
    }),
    { numRuns: 3, endOnFailure: true },
  );
});

/** With something of everything. */
const eventful: History = {
  start: "2027-09-15T22:30:00Z",
  masters: [
    { anchorDay: 31, timeZone: "America/Santiago", allowance: 15, overage: "bill" },
    { anchorDay: 1, timeZone: "Europe/Berlin", allowance: null, overage: "block" },
  ],
  steps: [
    {
      when: 1,
      acts: [
        { do: "send", of: 0, units: 3 },
        { do: "send", of: 1, units: 9 },
        { do: "profile", of: 1, name: "Berlin" },
        { do: "top up", of: 2, units: 2 },
        { do: "send", of: 2, units: 9 },
        { do: "credit", of: 2, units: 6 },
        { do: "send", of: 2, units: 8 },
        { do: "refuse", of: 2 },
        { do: "correct", of: 1, units: -2 },
        { do: "send", of: 5, units: 4 },
        { do: "calendar", of: 3, anchorDay: 15, timeZone: "Pacific/Auckland" },
      ],
    },
    {
      when: "before",
      acts: [
        { do: "send", of: 1, units: 7 },
        { do: "move", of: 1 },
        { do: "send", of: 1, units: 5 },
      ],
    },
    {
      when: "after",
      acts: [
        { do: "close" },
        { do: "correct", of: 1, units: undefined },
        { do: "plan", of: 4, plan: "Large", when: "now" },
        { do: "limit", of: 5, limit: 3 },
        { do: "send", of: 0, units: 6 },
        { do: "send", of: 4, units: 8 },
      ],
    },
    { when: 20, acts: [{ do: "send", of: 3, units: 2 }] },
  ],
};

describe("one number that is wrong is found", () => {
  let played: Played;

  beforeAll(async () => {
    played = await play(eventful);
    return () => played.database[Symbol.asyncDispose]();
  });

  test("what was played holds something of everything, and agrees", async () => {
    expect([...played.books.done.keys()].toSorted()).toEqual(
      [
        "send",
        "correct",
        "top up",
        "credit",
        "limit",
        "plan",
        "profile",
        "move",
        "refuse",
        "calendar",
        "close",
      ].toSorted(),
    );
    await expectAgreement(played);
  });

  const one = (table: string, where = "true") => `ctid = (select ctid from ${table} where ${where} limit 1)`;
  const entry = (where: string) =>
    `(id, units) = (select id, units from usage_entry where ${where} order by id limit 1)`;
  const last = "(select id from statement order by period_start desc limit 1)";
  const lies: [of: string, lie: string, check: string][] = [
    ["a charge", `update usage_entry set units = units + 1 where ${entry("kind = 'accept'")}`, "counters"],
    ["a charge that is gone", `delete from usage_entry where ${entry("kind = 'accept'")}`, "counters"],
    ["a correction", `update usage_entry set units = units - 1 where ${entry("kind = 'correction'")}`, "statements"],
    ["a correction that is gone", `delete from usage_entry where ${entry("kind = 'correction'")}`, "statements"],
    ["a counter", `update usage set used = used + 1 where ${one("usage", "used > 0")}`, "counters"],
    ["a master's counter", `update usage set used = used - 1 where ${one("usage", "account_id = master_id and used > 0")}`, "counters"],
    ["a top-up", "update top_up set units = units + 1", "counters"],
    ["credits of the journal", `update credit_entry set units = units - 1 where ${one("credit_entry", "units > 1")}`, "credits"],
    ["more credits than a message has units", `update credit_entry set units = units + 100 where ${one("credit_entry")}`, "credits"],
    ["units of a pack", `update credit_pack set units = 1 where ${one("credit_pack")}`, "credits"],
    ["credits of a lot", "update credit_lot set spent = spent - 1 where spent > 0", "credits"],
    ["credits of a row", `update usage set credit_used = credit_used - 1 where ${one("usage", "credit_used > 0")}`, "credits"],
    ["units of a line", `update statement_line set units = units + 1 where ${one("statement_line")}`, "statements"],
    ["corrections of a line", `update statement_line set corrections = corrections + 1 where ${one("statement_line")}`, "statements"],
    ["credits of a line", `update statement_line set credits = credits + 1 where ${one("statement_line")}`, "statements"],
    ["overage of a line", `update statement_line set overage_units = overage_units + 1 where ${one("statement_line")}`, "statements"],
    ["refusals of a line", `update statement_line set refused = refused + 1 where ${one("statement_line")}`, "statements"],
    ["the group of a line", `update statement_line set billing_profile = 'Main' where ${one("statement_line", "billing_profile = 'Berlin'")}`, "statements"],
    ["the limit of a line", `update statement_line set monthly_limit = 77 where ${one("statement_line")}`, "statements"],
    ["a profile", `update statement_profile set currency = 'USD' where ${one("statement_profile")}`, "statements"],
    ["units of a statement", `update statement set units = units + 1 where id = ${last}`, "statements"],
    ["the allowance of a statement", `update statement set allowance = 1 where id = ${last}`, "statements"],
    ["the number of a statement", `update statement set number = number + 1 where id = ${last}`, "statements"],
    ["the chain of a statement", `update statement set chain_hash = lines_hash where id = ${last}`, "statements"],
    ["a row of the export", `update usage_day set units = units + 1 where ${one("usage_day")}`, "days"],
    ["a row of the export that is gone", `delete from usage_day where ${one("usage_day")}`, "days"],
    ["a recipient", `delete from recipient where ${one("recipient")}`, "messages"],
  ]; // biome-ignore format: a table

  const ofAllMasters = /^\d{4}-/; // a day
  const ofNoPeriod = /^(lot|pack)_/;
  const sorted = (differences: readonly Difference[]) =>
    differences.map((one) => Object.values(one).join(" ")).toSorted();

  /** What is found in one part after the other. */
  async function foundIn(db: Db, parts: readonly Part[]): Promise<string[]> {
    const { clock } = played.database;
    const reports = [];
    for (const scope of parts) reports.push(await verifyLedger(db, clock, { scope }));
    return sorted(reports.flatMap(({ differences }) => differences));
  }

  async function mastersOf(db: Db): Promise<Part[]> {
    return (await db.selectFrom("master").select("id").execute()).map(({ id }) => ({ masterId: id, period: null }));
  }

  async function periodsOf(db: Db): Promise<Part[]> {
    const { rows } = await sql<{ masterId: MasterId; start: Date; end: Date }>`
      select master_id as "masterId", period_start as start, period_end as end from usage
      union select master_id, period_start, period_end from statement`.execute(db);
    return rows.map(({ masterId, start, end }) => ({ masterId, period: { start, end } }));
  }

  test.each(lies)("%s is found once, in its part of the ledger", async (_of, lie, check) => {
    const { db, clock } = played.database;
    await unguarded(played.database);
    const lied = db.transaction().execute(async (trx) => {
      expect(Number((await sql.raw(lie).execute(trx)).numAffectedRows)).toBeGreaterThan(0);
      const { differences } = await verifyLedger(trx, clock);
      expect(differences.map((difference) => difference.check)).toContain(check);
      const told = differences.filter(({ subject }) => !ofAllMasters.test(subject));
      expect(await foundIn(trx, await mastersOf(trx))).toEqual(sorted(told));
      expect(await foundIn(trx, await periodsOf(trx))).toEqual(
        sorted(told.filter(({ subject }) => !ofNoPeriod.test(subject))),
      );
      throw new Error("taken back");
    });
    await expect(lied).rejects.toThrow("taken back");
  });
});
