/** Random histories of masters and their subaccounts over several periods, played through the program's own verbs. */
import fc from "fast-check";
import { changeMaster } from "../../src/accounts/change-master.ts";
import { changeSubaccount } from "../../src/accounts/change-subaccount.ts";
import { findMaster, findSubaccount } from "../../src/accounts/find.ts";
import { moveAccount } from "../../src/accounts/move-account.ts";
import { createPlan } from "../../src/accounts/plans.ts";
import type { MasterPrincipal, Operator } from "../../src/accounts/principal.ts";
import { switchPlan } from "../../src/accounts/switch-plan.ts";
import { takeNextPlans } from "../../src/accounts/take-next-plan.ts";
import { closeDue } from "../../src/metering/close-due.ts";
import { addCorrection } from "../../src/metering/correction.ts";
import { periodAt } from "../../src/metering/period.ts";
import { createRefusalRecorder } from "../../src/metering/refusals.ts";
import { sumDays } from "../../src/metering/sum-days.ts";
import { createClock } from "../../src/platform/clock.ts";
import { openDatabase } from "../../src/platform/database.ts";
import { Fault } from "../../src/platform/errors.ts";
import type { MasterId, MessageId, SubaccountId } from "../../src/platform/ids.ts";
import { ensurePartitions } from "../../src/platform/partitions.ts";
import { addPack, allocateCredits } from "../../src/quota/credits.ts";
import { addTopUp } from "../../src/quota/top-up.ts";
import { seedMaster, seedSubaccount } from "../support/accounts.ts";
import { type TestDatabase, testDatabase } from "../support/database.ts";
import { acceptUnits } from "../support/ledger.ts";
import { silentLog } from "../support/log.ts";

const DAY_MS = 86_400_000;
const operator: Operator = { kind: "operator", via: "cli" };
/** Days whose partitions are made: yesterday, today and tomorrow. */
const AROUND = 3;
const plans = ["Small", "Large"] as const;
const profiles = ["Berlin", "Main", "A label"] as const;
const zones = ["UTC", "Europe/Berlin", "America/Santiago", "Pacific/Auckland", "America/New_York"];

const of = fc.nat(20); // an account, or a message: one of those that there are
const few = fc.integer({ min: 1, max: 9 });

export type Act =
  | Readonly<{ do: "send"; of: number; units: number }>
  | Readonly<{ do: "correct"; of: number; units: number | undefined }>
  | Readonly<{ do: "top up" | "credit"; of: number; units: number }>
  | Readonly<{ do: "limit"; of: number; limit: number | null }>
  | Readonly<{ do: "plan"; of: number; plan: string; when: "now" | "next_period" }>
  | Readonly<{ do: "profile"; of: number; name: string | null }>
  | Readonly<{ do: "move"; of: number }>
  | Readonly<{ do: "refuse"; of: number }>
  | Readonly<{ do: "calendar"; of: number; anchorDay: number; timeZone: string }>
  | Readonly<{ do: "close" }>;

const is = <T extends string>(name: T) => fc.constant(name);
const send = fc.record({ do: is("send"), of, units: few });

const act: fc.Arbitrary<Act> = fc.oneof(
  { weight: 10, arbitrary: send },
  {
    weight: 3,
    arbitrary: fc.record({
      do: is("correct"),
      of,
      units: fc.option(fc.integer({ min: -5, max: 2 }), { nil: undefined }),
    }),
  },
  fc.record({ do: is("top up"), of, units: few }),
  { weight: 2, arbitrary: fc.record({ do: is("credit"), of, units: few }) },
  fc.record({ do: is("limit"), of, limit: fc.option(fc.nat(20)) }),
  fc.record({
    do: is("plan"),
    of,
    plan: fc.constantFrom(...plans),
    when: fc.constantFrom("now" as const, "next_period" as const),
  }),
  fc.record({ do: is("profile"), of, name: fc.option(fc.constantFrom(...profiles)) }),
  fc.record({ do: is("move"), of }),
  fc.record({ do: is("refuse"), of }),
  fc.record({
    do: is("calendar"),
    of,
    anchorDay: fc.integer({ min: 1, max: 31 }),
    timeZone: fc.constantFrom(...zones),
  }),
  fc.record({ do: is("close") }),
);

/** Days from the step before; or to just before the end of a master's period, or just after it. */
type When = number | "before" | "after";

const step = fc.record({
  when: fc.oneof(fc.integer({ min: 1, max: 20 }), fc.constantFrom<When>("before", "after")),
  acts: fc.array(act, { minLength: 6, maxLength: 14 }),
});

/** From a date on; in spring and in autumn clocks are changed on both halves of the earth. */
export const history = fc.record({
  start: fc.constantFrom("2027-02-20T10:00:00Z", "2027-09-15T22:30:00Z"),
  masters: fc.array(
    fc.record({
      anchorDay: fc.constantFrom(1, 15, 29, 31),
      timeZone: fc.constantFrom(...zones),
      allowance: fc.constantFrom(null, 15, 40),
      overage: fc.constantFrom("block" as const, "bill" as const),
    }),
    { minLength: 2, maxLength: 3 },
  ),
  steps: fc.array(step, { minLength: 5, maxLength: 7 }),
});
export type History = typeof history extends fc.Arbitrary<infer T> ? T : never;

type Account = { masterId: MasterId; subaccountId: SubaccountId };

/** What was answered, by account: no table of the program's is asked. */
export type Books = Readonly<{
  units: Map<SubaccountId, number>;
  messages: Map<SubaccountId, number>;
  corrections: Map<SubaccountId, number>;
  /** How often each kind of act was done, and not refused. */
  done: Map<Act["do"], number>;
}>;

export type Played = Readonly<{ database: TestDatabase; masters: readonly MasterId[]; books: Books }>;
type World = Books & {
  masters: MasterId[];
  accounts: Account[]; // of now; the masters' own among them
  own: Set<SubaccountId>;
  sent: (Account & { id: MessageId })[];
};

/** The database as it is two months after the last step, all periods closed and all days summed. */
export async function play(told: History): Promise<Played> {
  const first = await testDatabase({ clockOffsetMs: Date.parse(told.start) - Date.now() });
  await ensurePartitions(first.db, AROUND);
  const world = await populate(first, told);
  let at = first.clock.now().getTime();
  for (const { when, acts } of told.steps) {
    const calendar = (await findMaster(first.db, operator, world.masters[0]!, createClock(at - Date.now()))).calendar;
    const { end } = periodAt(calendar, new Date(at));
    if (typeof when === "number") at += when * DAY_MS;
    else at = Math.max(at + 60_000, end.getTime() + (when === "before" ? -3_000 : 1_000));
    await using visited = await visit(first, at);
    await takeNextPlans(visited.db, visited.clock);
    for (const one of acts) await tried(world, one, visited);
  }
  const database = await visit(first, at + 62 * DAY_MS);
  await closeDue(database.db, { clock: database.clock, graceMs: 0 });
  await sumDays(database.db);
  return { database, masters: world.masters, books: world };
}

/** The same database at another instant, with the days around it. */
async function visit(database: TestDatabase, at: number): Promise<TestDatabase> {
  const clockOffsetMs = at - Date.now();
  const opened = openDatabase({ url: database.url, clockOffsetMs, max: 2, applicationName: "postmeter test, history" });
  await ensurePartitions(opened.db, AROUND);
  return { ...opened, clock: createClock(clockOffsetMs) };
}

async function populate(database: TestDatabase, told: History): Promise<World> {
  const world: World = {
    masters: [],
    accounts: [],
    own: new Set(),
    sent: [],
    units: new Map(),
    messages: new Map(),
    corrections: new Map(),
    done: new Map(),
  };
  for (const seed of told.masters) {
    const { masterId, ownSubaccountId } = await seedMaster(database, seed);
    world.masters.push(masterId);
    world.own.add(ownSubaccountId);
    world.accounts.push({ masterId, subaccountId: ownSubaccountId });
    for (const monthlyLimit of [null, 12])
      world.accounts.push({ masterId, subaccountId: await seedSubaccount(database, masterId, { monthlyLimit }) });
    for (const [i, name] of plans.entries()) {
      const terms = { monthlyLimit: 8 * (i + 1), features: {}, price: null, cycle: "monthly" } as const;
      await createPlan(database.db, principalOf(masterId), { name, ...terms }, database.clock);
    }
    for (const [i, name] of profiles.slice(0, 2).entries())
      await database.pool.query(
        "insert into billing_profile values (gen_random_uuid(), $1, $2, 'EUR', $2, null, $3, pm_now(), pm_now())",
        [masterId, name, i === 1],
      );
  }
  return world;
}

const principalOf = (masterId: MasterId): MasterPrincipal => ({
  kind: "master",
  masterId,
  keyId: null,
  scopes: ["full"],
});

/** What a rule forbids isn't done. */
async function tried(world: World, one: Act, database: TestDatabase): Promise<void> {
  try {
    if (await perform(world, one, database)) add(world.done, one.do, 1);
  } catch (error) {
    if (!(error instanceof Fault)) throw error;
  }
}

function add<K>(sums: Map<K, number>, key: K, more: number): void {
  sums.set(key, (sums.get(key) ?? 0) + more);
}

/** False where it was refused without an error. */
async function perform(world: World, one: Act, database: TestDatabase): Promise<boolean> {
  const { db, clock } = database;
  if (one.do === "close") {
    await closeDue(db, { clock, graceMs: 0 });
    await sumDays(db);
    return true;
  }
  if (one.do === "correct") return correct(world, one, database);
  const account = world.accounts[one.of % world.accounts.length]!;
  const { masterId, subaccountId } = account;
  const principal = principalOf(masterId);
  const { calendar } = await findMaster(db, principal, masterId, clock);
  switch (one.do) {
    case "send": {
      const answer = await acceptUnits(database, account, one.units, calendar);
      if (answer.kind !== "accepted") return false;
      world.sent.push({ ...account, id: answer.id });
      add(world.messages, subaccountId, 1);
      add(world.units, subaccountId, one.units);
      return true;
    }
    case "top up":
      await addTopUp(
        db,
        principal,
        await findSubaccount(db, principal, subaccountId, clock),
        { units: one.units },
        clock,
      );
      return true;
    case "credit":
      await addPack(db, operator, { masterId, units: one.units }, clock);
      await allocateCredits(db, principal, await findSubaccount(db, principal, subaccountId, clock), one.units, clock);
      return true;
    case "limit":
      await changeSubaccount(db, principal, subaccountId, { monthlyLimit: one.limit }, {}, clock);
      return true;
    case "plan":
      await switchPlan(db, principal, subaccountId, { plan: one.plan, when: one.when }, {}, clock);
      return true;
    case "profile":
      await changeSubaccount(db, principal, subaccountId, { billingProfile: one.name }, {}, clock);
      return true;
    case "move":
      return move(world, account, database);
    case "refuse": {
      const recorder = createRefusalRecorder({ pool: database.pool, clock, log: silentLog });
      recorder.refused({ ...account, period: periodAt(calendar, clock.now()), reason: "size", units: 1 });
      await recorder[Symbol.asyncDispose]();
      return true;
    }
    case "calendar": {
      const { anchorDay, timeZone } = one;
      await changeMaster(db, operator, masterId, { anchorDay, timeZone }, {}, clock);
      return true;
    }
  }
}

async function correct(
  world: World,
  { of: which, units }: Extract<Act, { do: "correct" }>,
  { db, clock }: TestDatabase,
): Promise<boolean> {
  const message = world.sent[which % Math.max(1, world.sent.length)];
  if (message === undefined) return false;
  const made = await addCorrection(db, operator, { messageId: message.id, units, note: "played" }, clock);
  add(world.corrections, message.subaccountId, made.units);
  return true;
}

/** To the next of the masters. */
async function move(world: World, account: Account, { db, clock }: TestDatabase): Promise<boolean> {
  if (world.own.has(account.subaccountId)) return false;
  const masterId = world.masters[(world.masters.indexOf(account.masterId) + 1) % world.masters.length]!;
  const id = await db.transaction().execute(async (trx) => {
    const before = await findSubaccount(trx, operator, account.subaccountId, clock, "change");
    const master = await findMaster(trx, operator, masterId, clock, "keep");
    return moveAccount(trx, before, { master, name: "Moved", monthlyLimit: 10 }, clock);
  });
  world.accounts[world.accounts.indexOf(account)] = { masterId, subaccountId: id };
  return true;
}
