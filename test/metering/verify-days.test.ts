/** `ledger verify` holds every kept sum against the entries: each lie about a summed day is found and named. */
import { beforeAll, expect, test } from "vitest";
import { EVERYTHING, type Scope } from "../../src/metering/scope.ts";
import { sumDays } from "../../src/metering/sum-days.ts";
import { verifyDays } from "../../src/metering/verify-days.ts";
import { formatId, type MasterId, type SubaccountId } from "../../src/platform/ids.ts";
import { seedMaster, seedSubaccount } from "../support/accounts.ts";
import { type TestDatabase, testDatabase } from "../support/database.ts";
import { addEntries, makeDays, type OldEntry, partitionOf } from "../support/old-entries.ts";
import { putBack } from "../support/tampering.ts";

const period = { start: new Date("2026-06-01T04:00:00Z"), end: new Date("2026-07-01T04:00:00Z") };
const earlier = { start: new Date("2026-05-01T04:00:00Z"), end: period.start };
const day = "2026-06-10";
const at = (time: string) => Date.parse(`${day}T${time}Z`);

let database: TestDatabase;
let masterId: MasterId;
let subaccountId: SubaccountId;
let otherId: MasterId;

/** In New York the day is cut at four o'clock. */
beforeAll(async () => {
  database = await testDatabase();
  ({ masterId } = await seedMaster(database, { timeZone: "America/New_York" }));
  subaccountId = await seedSubaccount(database, masterId);
  ({ masterId: otherId } = await seedMaster(database, { timeZone: "America/New_York" }));
  await makeDays(database, at("00:00:00"), at("00:00:00"));
  await addEntries(database, [
    entry("02:00:00", 5),
    entry("03:59:59.999", 1),
    entry("04:00:00", 7),
    entry("04:00:00", 2, "correction"),
  ]);
  await sumDays(database.db);
});

const entry = (time: string, units: number, kind: OldEntry["kind"] = "accept"): OldEntry => {
  return { atMs: at(time), masterId, subaccountId, periodStart: period.start, units, kind };
};

async function verified(db = database.db, scope: Scope = EVERYTHING) {
  const differences: { subject: string; detail: string }[] = [];
  let read = 0;
  await verifyDays(db, scope, {
    found: ({ check: _, ...difference }) => void differences.push(difference),
    read: (rows) => {
      read += rows;
    },
  });
  return { differences, read };
}

test("what the job has made is in order, and all entries of the day are read", async () => {
  expect(await verified()).toEqual({ differences: [], read: 4 });
  const { db } = database;
  expect(await verified(db, { masterId, period: null })).toEqual({ differences: [], read: 4 });
  expect(await verified(db, { masterId, period })).toEqual({ differences: [], read: 4 });
  expect(await verified(db, { masterId: otherId, period })).toEqual({ differences: [], read: 0 });
  expect(await verified(db, { masterId, period: earlier })).toEqual({ differences: [], read: 0 });
});

const early = "the sum from 2026-06-10T00:00:00.000Z to 2026-06-10T04:00:00.000Z";
const last = "the sum from 2026-06-10T04:00:00.000Z to 2026-06-11T00:00:00.000Z";
const copy = "entry_day, master_id, period_start, subaccount_id";
const isEarly = `since = '${day}'`;
const late = (values: () => OldEntry) =>
  [`alter table ${partitionOf(at("00:00:00"))} disable trigger user`, values] as const;

/** What is done to the tables, and what is said of it; `{day}` for what concerns the day as a whole. */
test.for<[lie: string, deeds: readonly (string | (() => OldEntry))[], details: readonly string[]]>([
  [
    "a row with other units",
    [`update usage_day set units = 60 where ${isEarly}`],
    [`${early} says 2 messages, 60 units, 0 corrections; the entries 2 messages, 6 units, 0 corrections`],
  ],
  [
    "a row with other messages",
    [`update usage_day set messages = 3 where ${isEarly}`],
    [`${early} says 3 messages, 6 units, 0 corrections; the entries 2 messages, 6 units, 0 corrections`],
  ],
  [
    "a row with other corrections",
    [`update usage_day set corrections = 0 where not (${isEarly})`],
    [`${last} says 1 messages, 7 units, 0 corrections; the entries 1 messages, 7 units, 2 corrections`],
  ],
  [
    "a row that is missing",
    [`delete from usage_day where not (${isEarly})`],
    ["2 entries are in no sum: 1 messages, 7 units, 2 corrections"],
  ],
  [
    "all rows of the day missing",
    ["delete from usage_day"],
    ["4 entries are in no sum: 3 messages, 13 units, 2 corrections"],
  ],
  [
    "a row of nobody's entries",
    [
      `insert into usage_day select entry_day, master_id, period_start, gen_random_uuid(), since, until, 1, 1, 0 from usage_day where ${isEarly}`,
    ],
    [`${early} says 1 messages, 1 units, 0 corrections; there is no entry`],
  ],
  [
    "a row of another period",
    [`update usage_day set period_start = '2026-05-01T04:00:00Z' where ${isEarly}`],
    [
      `${early} says 2 messages, 6 units, 0 corrections; there is no entry`,
      "2 entries are in no sum: 2 messages, 6 units, 0 corrections",
    ],
  ],
  [
    "a row that tells some entries twice",
    [`insert into usage_day select ${copy}, '${day} 03:00:00Z', until, 1, 1, 0 from usage_day where ${isEarly}`],
    ["the sum from 2026-06-10T03:00:00.000Z to 2026-06-10T04:00:00.000Z begins before the one ahead of it ends"],
  ],
  [
    "a row that ends too early",
    [`update usage_day set until = '${day} 03:00:00Z' where ${isEarly}`],
    [
      "the sum from 2026-06-10T00:00:00.000Z to 2026-06-10T03:00:00.000Z says 2 messages, 6 units, 0 corrections; the entries 1 messages, 5 units, 0 corrections",
      "1 entries are in no sum: 1 messages, 1 units, 0 corrections",
    ],
  ],
  [
    "an entry that came into the day later",
    late(() => entry("02:00:01", 9)),
    [
      "{day} it was summed with 4 entries, and has 5",
      `${early} says 2 messages, 6 units, 0 corrections; the entries 3 messages, 15 units, 0 corrections`,
    ],
  ],
  [
    "a void that came into the day later",
    late(() => entry("02:00:01", 0, "void")),
    ["{day} it was summed with 4 entries, and has 5"],
  ],
  [
    "an entry that was removed",
    ["delete from usage_entry where units = 5"],
    [
      "{day} it was summed with 4 entries, and has 3",
      `${early} says 2 messages, 6 units, 0 corrections; the entries 1 messages, 1 units, 0 corrections`,
    ],
  ],
  [
    "an entry with other units",
    ["update usage_entry set units = 50 where units = 5"],
    [`${early} says 2 messages, 6 units, 0 corrections; the entries 2 messages, 51 units, 0 corrections`],
  ],
])("%s is found, and nothing else, in its part alone", async ([lie, deeds, details]) => {
  await tampered(async () => {
    for (const deed of deeds) {
      if (typeof deed === "string") await database.pool.query(deed);
      else await addEntries(database, [deed()]);
    }
    const { differences } = await verified();
    const expected = details.map((detail) =>
      detail.startsWith("{day} ")
        ? { subject: day, detail: detail.slice(6) }
        : {
            subject: expect.stringMatching(/^sub_/),
            detail: expect.stringMatching(new RegExp(`^day ${day}, period 2026-0[56]-01T04:00:00.000Z: ${detail}$`)),
          },
    );
    expect(differences).toHaveLength(expected.length);
    for (const one of expected) expect(differences).toContainEqual(one);
    const { db } = database;
    const parts = differences.filter(({ subject }) => subject !== day); // with how many entries it was summed is said of all masters
    expect((await verified(db, { masterId, period: null })).differences).toEqual(parts);
    expect((await verified(db, { masterId: otherId, period: null })).differences).toEqual([]);
    const [may, june] = [of(parts, "2026-05"), of(parts, "2026-06")];
    expect(may).toHaveLength(lie === "a row of another period" ? 1 : 0);
    expect((await verified(db, { masterId, period })).differences).toEqual(june);
    // The days of this one end before the day.
    expect((await verified(db, { masterId, period: earlier })).differences).toEqual([]);
  });
  expect((await verified()).differences).toEqual([]);
});

const of = (differences: readonly { detail: string }[], month: string) =>
  differences.filter(({ detail }) => detail.includes(`period ${month}-01`));

test("the subject is the subaccount whose sum it is", async () => {
  await tampered(async () => {
    await database.pool.query("update usage_day set units = units + 1");
    const subjects = (await verified()).differences.map(({ subject }) => subject);
    expect(subjects).toEqual([formatId("sub", subaccountId), formatId("sub", subaccountId)]);
  });
});

test("a day whose word is taken back while it is read is passed over", async () => {
  await tampered(async () => {
    await database.pool.query("update usage_day set units = units + 1");
    let asked = 0;
    const taking = database.db.withPlugin({
      transformQuery: ({ node }) => node,
      transformResult: async ({ result }) => {
        asked += 1;
        if (asked === 2) await database.pool.query("delete from summed_day");
        return result;
      },
    });
    expect(await verified(taking)).toEqual({ differences: [], read: 4 });
  });
});

/** Looks at what was changed, and takes it back. */
async function tampered(look: () => Promise<void>): Promise<void> {
  try {
    await putBack(database, ["usage_entry", "usage_day", "summed_day"], look);
  } finally {
    await database.pool.query(`alter table ${partitionOf(at("00:00:00"))} enable trigger user`);
  }
}
