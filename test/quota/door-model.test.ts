/** The door beside a list of what was sent when, with limits that change and a clock that stands where the test says. */
import fc from "fast-check";
import { expect, test } from "vitest";
import type { Period } from "../../src/metering/period.ts";
import type { CredentialId, SubaccountId } from "../../src/platform/ids.ts";
import { seedCredential, seedMaster, seedSubaccount } from "../support/accounts.ts";
import { type TestDatabase, testDatabase } from "../support/database.ts";
import { disagreements, knock, messageOf, mutate, openRows, standingClock } from "./door.ts";

const spans = { minute: 60, hour: 3600, day: 86_400 } as const;
type Limits = { minute?: number | undefined; hour?: number | undefined; day?: number | undefined };
const START = Date.UTC(2026, 10, 27, 12) / 1000;
const period: Period = { start: new Date("2026-01-01T00:00:00Z"), end: new Date("2028-01-01T00:00:00Z") };

const most = fc.option(fc.integer({ min: 1, max: 30 }), { nil: undefined });
const limits = fc.option(fc.record({ minute: most, hour: most, day: most }), { nil: null });
const which = fc.nat(1);
type Sent = { who: number; byCredential: boolean; units: number };
const sent = fc.record({
  who: which,
  byCredential: fc.boolean(),
  units: fc.integer({ min: 1, max: 6 }),
});
type Step =
  | { do: "wait"; seconds: number }
  | { do: "limit" | "credential"; of: number; limits: Limits | null }
  | { do: "ramp"; of: number; ramp: number[] | null }
  | { do: "month"; of: number; units: number | null }
  | { do: "reserve"; of: number; units: number | null }
  | { do: "credits"; of: number; units: number }
  | { do: "transactional"; of: number; is: boolean }
  | { do: "send"; messages: Sent[] };
const is = <T extends string>(name: T) => fc.constant(name);
const units = fc.option(fc.nat(60), { nil: null });
const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 8,
    arbitrary: fc.record({ do: is("send"), messages: fc.array(sent, { minLength: 1, maxLength: 4, size: "max" }) }),
  },
  {
    weight: 5,
    arbitrary: fc.record({
      do: is("wait"),
      seconds: fc.oneof(fc.nat(5), fc.nat(90), fc.nat(5000), fc.nat(100_000), fc.integer({ min: -200, max: 0 })),
    }),
  },
  { weight: 2, arbitrary: fc.record({ do: is("limit"), of: which, limits }) },
  { weight: 2, arbitrary: fc.record({ do: is("credential"), of: which, limits }) },
  fc.record({
    do: is("ramp"),
    of: which,
    ramp: fc.option(fc.array(fc.integer({ min: 1, max: 20 }), { minLength: 1, maxLength: 3 }), { nil: null }),
  }),
  fc.record({ do: is("month"), of: which, units }),
  fc.record({ do: is("reserve"), of: which, units }),
  fc.record({ do: is("credits"), of: which, units: fc.integer({ min: 1, max: 9 }) }),
  fc.record({ do: is("transactional"), of: which, is: fc.boolean() }),
);

type Held = { limits: Limits | null; ramp: number[] | null; rampSince: number; told: Map<number, [number, number][]> };
type Account = { used: number; limit: number | null; spent: number; reserve: number; credits: number };

/** What is to hold, told in the plainest way. */
class Model {
  now = START;
  readonly subaccounts = [this.#held(), this.#held()];
  readonly credentials = [this.#held(), this.#held()];
  readonly accounts: Account[] = [0, 1].map(() => ({ used: 0, limit: null, spent: 0, reserve: 0, credits: 0 }));
  readonly transactional = [false, false];

  #held(): Held {
    return { limits: null, ramp: null, rampSince: 0, told: new Map() };
  }

  /** The most units that each window in force still takes. */
  #rooms(held: Held): [span: number, room: number][] {
    return Object.entries(spans).flatMap(([name, span]) => {
      const ramp =
        span === spans.day ? held.ramp?.[Math.max(Math.floor((this.now - held.rampSince) / 86_400), 0)] : undefined;
      const limit = Math.min(...[held.limits?.[name as "day"], ramp].filter((one) => one !== undefined));
      if (limit === Number.POSITIVE_INFINITY) return [];
      const told = held.told.get(span) ?? [];
      const slot = Math.max(Math.floor((this.now * 60) / span), ...told.map(([at]) => at));
      return [[span, limit - told.filter(([at]) => at > slot - 61).reduce((sum, [, n]) => sum + n, 0)]];
    });
  }

  decide({ who, byCredential, units }: Sent): string {
    const account = this.accounts[who]!;
    const { limit, used, spent } = account;
    const cap = limit === null ? Number.POSITIVE_INFINITY : limit + spent;
    const kept = byCredential && this.transactional[who] ? 0 : account.reserve;
    let pay = Math.min(units, Math.max(used + units + kept - cap, 0));
    if (pay > account.credits) pay = 0;
    if (used + units > cap && pay === 0) return "subaccount";
    if (used + units + kept > cap && pay === 0) return "reserved";
    const helds = [this.subaccounts[who]!, ...(byCredential ? [this.credentials[who]!] : [])];
    if (helds.some((held) => this.#rooms(held).some(([, room]) => room < units))) return "rate";
    for (const held of helds) {
      for (const [span] of this.#rooms(held)) {
        const told = held.told.get(span) ?? [];
        told.push([Math.max(Math.floor((this.now * 60) / span), ...told.map(([at]) => at)), units]);
        held.told.set(span, told);
      }
    }
    account.used += units;
    account.spent += pay;
    account.credits -= pay;
    return "accepted";
  }
}

type World = Readonly<{
  at: TestDatabase;
  setClock: (seconds: number) => Promise<void>;
  call: string;
  masterId: Awaited<ReturnType<typeof seedMaster>>["masterId"];
  subaccounts: readonly SubaccountId[];
  credentials: readonly CredentialId[];
}>;

async function world(at: TestDatabase, setClock: World["setClock"], call: string): Promise<World> {
  await setClock(START);
  const { masterId } = await seedMaster(at);
  const subaccounts = [];
  const credentials = [];
  for (let i = 0; i < 2; i++) {
    const subaccountId = await seedSubaccount(at, masterId, { monthlyLimit: null });
    subaccounts.push(subaccountId);
    credentials.push((await seedCredential(at, masterId, subaccountId)).credentialId);
    await openRows(at, { masterId, subaccountId }, period);
  }
  return { at, setClock, call, masterId, subaccounts, credentials };
}

async function play(w: World, model: Model, one: Step): Promise<[told: string[], expected: string[]]> {
  const { pool } = w.at;
  const set = (table: string, ids: readonly string[], of: number, column: string, value: unknown) =>
    pool.query(`update ${table} set ${column} = $2 where id = $1`, [ids[of], value]);
  switch (one.do) {
    case "wait": {
      // Whether a ramp that has ended holds again when the clock is put back is left open.
      const back = one.seconds < 0 && model.subaccounts.some(({ ramp }) => ramp !== null);
      model.now += back ? 0 : one.seconds;
      await w.setClock(model.now);
      break;
    }
    case "limit":
      model.subaccounts[one.of]!.limits = one.limits;
      await set("subaccount", w.subaccounts, one.of, "rate_limits", one.limits);
      break;
    case "credential":
      model.credentials[one.of]!.limits = one.limits;
      await set("credential", w.credentials, one.of, "rate_limits", one.limits);
      break;
    case "ramp": {
      const held = model.subaccounts[one.of]!;
      if (JSON.stringify(held.ramp) !== JSON.stringify(one.ramp)) held.rampSince = model.now;
      held.ramp = one.ramp;
      await set("subaccount", w.subaccounts, one.of, "daily_cap_ramp", one.ramp);
      break;
    }
    case "month":
      model.accounts[one.of]!.limit = one.units;
      await set("subaccount", w.subaccounts, one.of, "monthly_limit", one.units);
      break;
    case "reserve":
      model.accounts[one.of]!.reserve = one.units ?? 0;
      await set("subaccount", w.subaccounts, one.of, "reserve", one.units);
      break;
    case "transactional":
      model.transactional[one.of] = one.is;
      await set("credential", w.credentials, one.of, "transactional", one.is);
      break;
    case "credits":
      model.accounts[one.of]!.credits += one.units;
      await pool.query(
        `with pack as (insert into credit_pack values (gen_random_uuid(), $1, $3, null, null, pm_now()) returning id)
         insert into credit_lot (id, pack_id, master_id, subaccount_id, units, created_at)
         select gen_random_uuid(), id, $1, $2, $3, pm_now() from pack`,
        [w.masterId, w.subaccounts[one.of], one.units],
      );
      break;
    case "send": {
      const messages = one.messages.map(({ who, byCredential, units }) =>
        messageOf({ masterId: w.masterId, subaccountId: w.subaccounts[who]! }, units, {
          period,
          credentialId: byCredential ? w.credentials[who]! : null,
        }),
      );
      const { verdicts } = await knock(pool, messages, w.call);
      return [verdicts, one.messages.map((message) => model.decide(message))];
    }
  }
  return [[], []];
}

async function check(at: TestDatabase, call: string, runs: fc.Parameters<[Step[]]>) {
  const setClock = await standingClock(at);
  const counts: Record<string, number> = {};
  const result = await fc.check(
    fc.asyncProperty(fc.array(step, { minLength: 5, maxLength: 50, size: "max" }), async (steps) => {
      const w = await world(at, setClock, call);
      const model = new Model();
      for (const one of steps) {
        const [told, expected] = await play(w, model, one);
        for (const verdict of told) counts[verdict] = (counts[verdict] ?? 0) + 1;
        expect(told).toEqual(expected);
      }
    }),
    runs,
  );
  return { counts, failure: result.failed ? fc.defaultReportMessage(result) : "" };
}

const toA = (units: number, byCredential = false): Sent => ({ who: 0, byCredential, units });
/** With every answer. */
const eventful: Step[] = [
  { do: "month", of: 0, units: 6 },
  { do: "reserve", of: 0, units: 3 },
  { do: "transactional", of: 0, is: true },
  { do: "send", messages: [toA(3), toA(1), toA(2, true), toA(2, true)] },
  { do: "limit", of: 0, limits: { minute: 6 } },
  { do: "credits", of: 0, units: 9 },
  { do: "send", messages: [toA(5), toA(2)] },
];

test("each message is decided as the list says", { timeout: 60_000 }, async () => {
  await using at = await testDatabase();
  const { counts, failure } = await check(at, "accept_batch", { numRuns: 40, examples: [[eventful]] });
  expect(failure).toBe("");
  expect(Object.keys(counts).sort()).toEqual(["accepted", "rate", "reserved", "subaccount"]);
  expect(await disagreements(at)).toEqual([]);
});

test.each([
  ["takes a window for still that has moved on", "if w_still then", "if true then"],
  ["counts what has left a window", "when x.newest >= x.slot then x.total", "when true then x.total"],
  ["looks for no credits", "if true = any(c_credited) then", "if false then"],
])("control: a door that %s is found", { timeout: 60_000 }, async (_, from, to) => {
  await using at = await testDatabase();
  await mutate(at.pool, "other", from, to);
  expect((await check(at, "other", { numRuns: 400, endOnFailure: true })).failure).not.toBe("");
});
