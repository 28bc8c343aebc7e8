import { beforeAll, describe, expect, test } from "vitest";
import type { Operator } from "../../src/accounts/principal.ts";
import { closeMaster } from "../../src/metering/close.ts";
import { addCorrection } from "../../src/metering/correction.ts";
import { nextPeriod, type Period, periodAt } from "../../src/metering/period.ts";
import { readStatement } from "../../src/metering/read-statement.ts";
import { EVERYTHING, type Scope } from "../../src/metering/scope.ts";
import { hashChain, hashLines } from "../../src/metering/statement.ts";
import { verifyLedger } from "../../src/metering/verify.ts";
import type { MasterId, MessageId, SubaccountId } from "../../src/platform/ids.ts";
import { seedMaster, seedSubaccount } from "../support/accounts.ts";
import { type TestDatabase, testDatabase } from "../support/database.ts";
import { acceptUnits, later } from "../support/ledger.ts";
import { utcMonths } from "../support/submission.ts";
import { tampered } from "../support/tampering.ts";

const operator: Operator = { kind: "operator", via: "cli" };

describe("with two periods, one of them closed", () => {
  let database: TestDatabase; // in the second period
  let masterId: MasterId;
  let subaccountId: SubaccountId;
  let first: MessageId;
  let otherId: MasterId; // with mail of its own in both
  let periods: Readonly<Record<"first" | "second" | "between", Period>>;

  beforeAll(async () => {
    const start = await testDatabase();
    ({ masterId } = await seedMaster(start));
    subaccountId = await seedSubaccount(start, masterId);
    first = ((await acceptUnits(start, { masterId, subaccountId }, 3)) as { id: MessageId }).id;
    await acceptUnits(start, { masterId, subaccountId }, 4);
    await addCorrection(start.db, operator, { messageId: first, units: -2, note: "ours" }, start.clock);
    ({ masterId: otherId } = await seedMaster(start));
    const other = { masterId: otherId, subaccountId: await seedSubaccount(start, otherId) };
    await acceptUnits(start, other, 2);
    const period = periodAt(utcMonths, start.clock.now());
    const { end } = period;
    const between = { start: new Date(period.start.getTime() + 86_400_000), end };
    periods = { first: period, second: nextPeriod(utcMonths, period), between };
    database = await later(start, end.getTime() - start.clock.now().getTime() + 120_000);
    await closeMaster(database.db, masterId, database);
    await closeMaster(database.db, otherId, database);
    await acceptUnits(database, { masterId, subaccountId }, 5);
    await acceptUnits(database, other, 1);
    await addCorrection(database.db, operator, { messageId: first, units: 1, note: "half of it ours" }, database.clock);
    return () => database[Symbol.asyncDispose]();
  });

  const verify = (scope: Scope = EVERYTHING) => verifyLedger(database.db, database.clock, { scope });
  const verifyIn = (period: keyof typeof periods) => verify({ masterId, period: periods[period] });

  test("what the program wrote itself is in order, and all of it is read", async () => {
    const report = await verify();
    expect(report.differences).toEqual([]);
    expect(report).toMatchObject({
      ok: true,
      found: 0,
      read: { entries: 7, statements: 2 },
      scope: EVERYTHING,
      leftOut: [],
    });
    expect(report.read.counters).toBeGreaterThanOrEqual(3);
    expect(report.read.messages).toBe(10); // each message and each charge
  });

  test("of a part of the ledger that part is read, and what could not be is named", async () => {
    const master = ["archive", "day_totals"];
    const period = [...master, "credit_lots", "prices", "chain"];
    const read = { entries: 5, messages: 6, statements: 1 };
    const scope = { masterId, period: null };
    expect(await verify(scope)).toMatchObject({ ok: true, scope, leftOut: master, read });
    const [first, second] = [await verifyIn("first"), await verifyIn("second")];
    expect(first).toMatchObject({ ok: true, leftOut: period, read: { entries: 3, messages: 4, statements: 1 } });
    expect(second).toMatchObject({ ok: true, leftOut: period, read: { entries: 2, messages: 2, statements: 0 } });
  });

  test("progress is told check by check", async () => {
    const told: string[] = [];
    await verifyLedger(database.db, database.clock, { onProgress: ({ check }) => told.push(check) });
    expect([...new Set(told)]).toEqual(["counters", "entries", "messages", "statements", "prices"]);
  });

  const newEntry = (columns: string) =>
    `insert into usage_entry (id, master_id, subaccount_id, period_start, units, kind, corrects, note, accepted_at) ${columns}`;
  const newId = "(substr(uuid_at(pm_now())::text, 1, 14) || '7' || substr(gen_random_uuid()::text, 16))::uuid";
  const running = "(select max(period_start) from usage)";
  const before = "(select min(period_start) from usage)";
  const own = () => `master_id = '${masterId}'`;

  /** Each lies in its own way; the check that must notice, how it names the lie, and the period in which alone it is found. */
  const lies: [
    lie: string,
    statements: () => string[],
    check: string,
    detail: RegExp,
    period: keyof typeof periods | "both",
  ][] = [
    [
      "a counter that is too low",
      () => [`update usage set used = used - 1 where account_id = '${subaccountId}' and period_start = ${before}`],
      "counters",
      /its counter says 6 units, the ledger 7/,
      "first",
    ],
    [
      "a master's counter that is too high",
      () => [`update usage set used = used + 1 where account_id = '${masterId}' and period_start = ${before}`],
      "counters",
      /its counter says 8 units, the ledger 7/,
      "first",
    ],
    [
      "a counter that was removed",
      () => [`delete from usage where account_id = '${subaccountId}' and period_start = ${before}`],
      "counters",
      /has no counter/,
      "first",
    ],
    [
      "all counters of a period removed",
      () => [`delete from usage where ${own()} and period_start = ${before}`],
      "entries",
      /belongs to no counter/,
      "first",
    ],
    [
      "top-ups that nobody bought",
      () => [`update usage set top_up = 9 where account_id = '${subaccountId}' and period_start = ${before}`],
      "counters",
      /9 units of top-ups, the top-ups 0/,
      "first",
    ],
    [
      "an entry that was removed",
      () => [`delete from usage_entry where id = '${first}'`],
      "counters",
      /its counter says 7 units, the ledger 4/,
      "first",
    ],
    [
      "an entry that was removed, seen from the message",
      () => [`delete from usage_entry where id = '${first}'`],
      "messages",
      /is stored, but was not charged/,
      "first",
    ],
    [
      "an entry with other units",
      () => [`update usage_entry set units = 9 where id = '${first}'`],
      "messages",
      /has 3 units, but 9 were charged/,
      "first",
    ],
    [
      "an entry of another account",
      () => [`update usage_entry set subaccount_id = '${masterId}' where id = '${first}'`],
      "messages",
      /charged to another account/,
      "first",
    ],
    [
      "a charge without a message, its counters raised with it",
      () => [
        newEntry(`select ${newId}, '${masterId}', '${subaccountId}', ${running}, 1, 'accept', null, null, pm_now()`),
        `update usage set used = used + 1 where ${own()} and period_start = ${running}`,
      ],
      "messages",
      /was charged, but is not stored/,
      "second",
    ],
    [
      "a charge in a period that is over",
      () => [`update usage_entry set accepted_at = pm_now() where id = '${first}'`],
      "entries",
      /outside of its period/,
      "first",
    ],
    [
      "an id far from its period",
      () => [`update usage_entry set id = uuid_at(pm_now() + interval '10 days') where id = '${first}'`],
      "entries",
      /an id that lies outside/,
      "first",
    ],
    [
      "a void that charges",
      () => [
        newEntry(`select ${newId}, '${masterId}', '${subaccountId}', ${running}, 1, 'void', null, null, pm_now()`),
      ],
      "entries",
      /void entry charges something/,
      "second",
    ],
    [
      "a void beside a message",
      () => [`update usage_entry set kind = 'void', units = 0 where id = '${first}'`],
      "messages",
      /its charge was voided/,
      "first",
    ],
    [
      "a correction of nothing",
      () => [
        newEntry(
          `select ${newId}, '${masterId}', '${subaccountId}', ${running}, -1, 'correction', ${newId}, 'x', pm_now()`,
        ),
      ],
      "entries",
      /corrects no charge/,
      "second",
    ],
    [
      "a correction of more than was charged",
      () => [
        newEntry(
          `select ${newId}, '${masterId}', '${subaccountId}', ${running}, -3, 'correction', '${first}', 'x', pm_now()`,
        ),
      ],
      "entries",
      /more than was charged/,
      "both",
    ],
    [
      "a correction that was removed after the statement",
      () => ["delete from usage_entry where kind = 'correction' and units = -2"],
      "statements",
      /-2 corrections; the ledger/,
      "first",
    ],
    [
      "a recipient that was not charged",
      () => [`insert into recipient (message_id, n, address) values ('${first}', 99, 'more@example.net')`],
      "messages",
      /has 4 recipients, but 3 units/,
      "first",
    ],
    [
      "a line with other units",
      () => [`update statement_line set units = units + 1 where subaccount_id = '${subaccountId}'`],
      "statements",
      /not those that were hashed/,
      "first",
    ],
    [
      "a line that was removed",
      () => [`delete from statement_line where subaccount_id = '${subaccountId}'`],
      "statements",
      /it has no line for sub_/,
      "first",
    ],
    [
      "another allowance",
      () => [`update statement set allowance = 1000000 where ${own()}`],
      "statements",
      /not those that were hashed/,
      "first",
    ],
    [
      "totals that are not those of the lines",
      () => [`update statement set units = 1 where ${own()}`],
      "statements",
      /1 units, -2 corrections, 0 credits, 0 refused; its lines/,
      "first",
    ],
    [
      "use in a period between those that are closed",
      () => [
        `insert into usage (account_id, period_start, period_end, master_id, used, open, thresholds)
         select account_id, period_start + interval '1 day', period_end, master_id, 4, true, thresholds from usage
          where account_id = '${masterId}' order by period_start limit 1`,
      ],
      "statements",
      /4 units were used, and no statement is of it/,
      "between",
    ],
    [
      "another chain",
      () => [`update statement set chain_hash = lines_hash where ${own()}`],
      "statements",
      /not chained/,
      "first",
    ],
  ];

  test.each(lies)("%s is found, and in its part alone", async (_lie, statements, check, detail, period) => {
    const told = { check, subject: expect.any(String), detail: expect.stringMatching(detail) };
    await tampered(database, statements(), async () => {
      const report = await verify();
      expect(report.ok).toBe(false);
      expect(report.differences).toContainEqual(told);
      expect((await verify({ masterId, period: null })).differences).toEqual(report.differences);
      expect((await verify({ masterId: otherId, period: null })).differences).toEqual([]);
      if (period !== "both") expect((await verifyIn(period)).differences).toContainEqual(told);
      for (const one of ["first", "second"] as const) {
        // The second has a correction of a charge of the first, which may be all that is wrong with it.
        const differences = (await verifyIn(one)).differences.filter(
          ({ detail }) => !/^its correction entry/.test(detail),
        );
        if (period !== "both" && period !== one) expect(differences).toEqual([]);
      }
    });
    expect((await verify()).ok).toBe(true);
  });

  test("a statement that was changed with all its hashes still differs from the ledger", async () => {
    const { rows } = await database.pool.query<{ id: string; day: string }>(
      `select id, to_char(period_start, 'YYYY-MM-DD') as day from statement where ${own()}`,
    );
    const statement = await readStatement(database.db, operator, rows[0]!.day, database.clock, masterId);
    const lines = statement.lines.map((line) => (line.subaccountId === subaccountId ? { ...line, units: 1 } : line));
    const linesHash = hashLines({ ...statement, units: 1, lines });
    const hashes = [linesHash, hashChain(Buffer.alloc(32), linesHash)].map((hash) => `'\\x${hash.toString("hex")}'`);
    const lie = [
      `update statement_line set units = 1 where subaccount_id = '${subaccountId}'`,
      `update statement set units = 1, lines_hash = ${hashes[0]}, chain_hash = ${hashes[1]} where ${own()}`,
    ];
    await tampered(database, lie, async () => {
      const { differences } = await verify();
      expect(differences).toEqual([
        expect.objectContaining({
          check: "statements",
          detail: expect.stringMatching(/says 2 messages, 1 units.*the ledger 2 messages, 7 units/),
        }),
      ]);
    });
  });

  test("a statement taken out of the middle leaves a gap", async () => {
    await using after = await later(database, 62 * 86_400_000);
    await closeMaster(after.db, masterId, after);
    expect((await verify()).ok).toBe(true);
    await tampered(
      database,
      [
        `delete from statement_line where statement_id = (select id from statement where ${own()} order by period_start offset 1 limit 1)`,
        `delete from statement where id = (select id from statement where ${own()} order by period_start offset 1 limit 1)`,
      ],
      async () => {
        const detailsIn = async (scope: Scope) => (await verify(scope)).differences.map(({ detail }) => detail);
        const unlinked = [
          "it is not chained to the statement before it",
          "its number is 3, and would be 2",
          expect.stringMatching(/^it starts at .*, the one before ends at/),
        ];
        const unbilled = [expect.stringMatching(/5 units were used, and no statement is of it/)];
        expect(await detailsIn(EVERYTHING)).toEqual([...unlinked, ...unbilled]);
        expect(await detailsIn({ masterId, period: null })).toEqual([...unlinked, ...unbilled]);
        expect(await detailsIn({ masterId, period: periods.first })).toEqual([]);
        expect(await detailsIn({ masterId, period: periods.second })).toEqual(unbilled);
        expect(await detailsIn({ masterId, period: nextPeriod(utcMonths, periods.second) })).toEqual(unlinked);
      },
    );
  });

  test("days whose messages are purged are passed over; their charges still count", async () => {
    const { rows } = await database.pool.query<{ day: string }>(
      "select to_char(accepted_at, 'YYYYMMDD') as day from usage_entry where id = $1",
      [first],
    );
    for (const parent of ["recipient", "body", "message"])
      await database.pool.query(`drop table ${parent}_${rows[0]!.day}`);
    const report = await verify();
    expect(report.differences).toEqual([]);
    expect(report.read.messages).toBe(4);
  });
});

test("while mail is accepted all the time, nothing is found, and the walk does not run after the newest entry", async () => {
  const database = await testDatabase();
  const { masterId } = await seedMaster(database);
  const subaccountId = await seedSubaccount(database, masterId, { monthlyLimit: null });
  let stop = false;
  const sending = (async () => {
    let sent = 0;
    for (; !stop; sent += 1) await acceptUnits(database, { masterId, subaccountId }, 2);
    return sent;
  })();
  let entries = 0;
  for (let i = 0; i < 15 || entries < 20; i += 1) {
    const pages: number[] = [];
    const report = await verifyLedger(database.db, database.clock, {
      onProgress: ({ check, read }) => check === "entries" && pages.push(read),
    });
    expect(report.differences).toEqual([]);
    entries = report.read.entries;
    expect(pages).toHaveLength(Math.floor(entries / 5000) + 1); // only the last is not full
  }
  stop = true;
  expect(await sending).toBeGreaterThanOrEqual(entries);
});
