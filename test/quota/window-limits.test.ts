/** What the door reads of other limits stands in windows and usage rows: always what the accounts say, and each window's total what it holds. */
import fc from "fast-check";
import { expect, test } from "vitest";
import type { CredentialId } from "../../src/platform/ids.ts";
import { seedCredential, seedMaster, seedSubaccount } from "../support/accounts.ts";
import { type TestDatabase, testDatabase } from "../support/database.ts";
import type { Account } from "../support/ledger.ts";
import { knock, messageOf, openRows, thisMonth } from "./door.ts";

const database = await testDatabase();

type Playground = Account & Readonly<{ credentials: readonly CredentialId[] }>;

async function playground(at: TestDatabase): Promise<Playground> {
  const { masterId } = await seedMaster(at);
  const subaccountId = await seedSubaccount(at, masterId, { monthlyLimit: 1_000_000 });
  const credentials = [];
  for (let i = 0; i < 2; i++) credentials.push(await seedCredential(at, masterId, subaccountId));
  return { masterId, subaccountId, credentials: credentials.map(({ credentialId }) => credentialId) };
}

const some = fc.option(fc.integer({ min: 1, max: 1000 }), { nil: undefined });
const limits = fc.option(fc.record({ minute: some, hour: some, day: some }), { nil: null });
const ramps = fc.option(fc.array(fc.integer({ min: 1, max: 500 }), { minLength: 1, maxLength: 5 }), { nil: null });
const which = fc.nat(1);

type Change =
  | { what: "limits"; limits: unknown }
  | { what: "ramp"; ramp: number[] | null; daysAgo: number }
  | { what: "reserve"; reserve: number | null }
  | { what: "credential"; n: number; limits: unknown }
  | { what: "revoke"; n: number }
  | { what: "credits"; units: number }
  | { what: "open" }
  | { what: "send"; n: number; units: number; times: number }
  | { what: "wait"; seconds: number };

const change: fc.Arbitrary<Change> = fc.oneof(
  fc.record({ what: fc.constant("limits" as const), limits }),
  fc.record({ what: fc.constant("ramp" as const), ramp: ramps, daysAgo: fc.nat(6) }),
  fc.record({ what: fc.constant("reserve" as const), reserve: fc.option(fc.nat(50), { nil: null }) }),
  fc.record({ what: fc.constant("credential" as const), n: which, limits }),
  fc.record({ what: fc.constant("revoke" as const), n: which }),
  fc.record({ what: fc.constant("credits" as const), units: fc.integer({ min: 1, max: 9 }) }),
  fc.record({ what: fc.constant("open" as const) }),
  fc.record({
    what: fc.constant("send" as const),
    n: which,
    units: fc.integer({ min: 1, max: 9 }),
    times: fc.integer({ min: 1, max: 3 }),
  }),
  fc.record({ what: fc.constant("wait" as const), seconds: fc.nat(5000) }),
);

async function play(at: TestDatabase, who: Playground, one: Change): Promise<void> {
  const { pool } = at;
  const update = (set: string, ...values: unknown[]) =>
    pool.query(`update subaccount set ${set} where id = $1`, [who.subaccountId, ...values]);
  switch (one.what) {
    case "limits":
      await update("rate_limits = $2", one.limits);
      return;
    case "ramp":
      await update("daily_cap_ramp = $2", one.ramp);
      await update("ramp_started_at = ramp_started_at - make_interval(days => $2)", one.daysAgo);
      return;
    case "reserve":
      await update("reserve = $2", one.reserve);
      return;
    case "credential":
      await pool.query("update credential set rate_limits = $2 where id = $1", [who.credentials[one.n], one.limits]);
      return;
    case "revoke":
      await pool.query("update credential set revoked_at = now() where id = $1", [who.credentials[one.n]]);
      return;
    case "credits":
      await pool.query(
        `with pack as (insert into credit_pack values (gen_random_uuid(), $1, $3, null, null, now()) returning id)
         insert into credit_lot (id, pack_id, master_id, subaccount_id, units, created_at)
         select gen_random_uuid(), id, $1, $2, $3, now() from pack`,
        [who.masterId, who.subaccountId, one.units],
      );
      return;
    case "open":
      await openRows(at, who, thisMonth(at));
      return;
    case "send": {
      await openRows(at, who, thisMonth(at));
      const told = { credentialId: who.credentials[one.n]! };
      await knock(
        pool,
        Array.from({ length: one.times }, () => messageOf(who, one.units, told)),
      );
      return;
    }
    case "wait":
      await pool.query("update rate_window set newest = newest - $1::bigint * 60 / span where id = any($2)", [
        one.seconds,
        [who.subaccountId, ...who.credentials],
      ]);
  }
}

/** Where windows and usage rows say something else than the account. */
async function differences({ pool }: TestDatabase, { subaccountId, credentials }: Playground): Promise<unknown[]> {
  const { rows } = await pool.query(
    `select 'limit' as of, id, span from (
       select id, span, window_most(most, ramp, ramp_started_at, pm_now()) as most from rate_window where id = any($1 || array[$2::uuid])) w
       full join rates_in_force(array[$2::uuid], $1, pm_now()) r using (id, span) where w.most is distinct from r.most
     union all
     select 'total', id, span from rate_window w
      where id = any($1 || array[$2::uuid]) and total <> coalesce((select sum(u) from unnest(slots) u), 0)
     union all
     select 'row', account_id, null from usage u join subaccount s on s.id = u.account_id
      where s.id = $2 and (u.reserve <> coalesce(s.reserve, 0) or credits_left(s.id, pm_now()) > 0 and not u.credited
                           or is_guarded(s.id) and not u.guarded)`,
    [credentials, subaccountId],
  );
  return rows;
}

test("whatever is changed and sent in which order, they agree", async () => {
  let sent = 0;
  await fc.assert(
    fc.asyncProperty(fc.array(change, { minLength: 3, maxLength: 25 }), async (changes) => {
      const who = await playground(database);
      for (const one of changes) {
        await play(database, who, one);
        expect(await differences(database, who)).toEqual([]);
      }
      const { rows } = await database.pool.query(
        "select coalesce(sum(total), 0)::int as n from rate_window where id = $1",
        [who.subaccountId],
      );
      sent += rows[0].n;
    }),
    { numRuns: 40 },
  );
  expect(sent).toBeGreaterThan(0);
});

const hour: Change = { what: "limits", limits: { minute: 50, hour: 50 } };

test.each<[string, string, Change | string, unknown[]]>([
  ["a limit without its window", "alter table subaccount disable trigger subaccount_guards", hour, [{ of: "limit" }]],
  [
    "a credential's limit without its window",
    "alter table credential disable trigger credential_guards",
    { what: "credential", n: 1, limits: { day: 9 } },
    [{ of: "limit" }],
  ],
  [
    "a reserve that the usage row does not know",
    "alter table subaccount disable trigger subaccount_guards",
    { what: "reserve", reserve: 7 },
    [{ of: "row" }],
  ],
  [
    "a total that is not that of the slots",
    "",
    "update rate_window set total = total + 1 where span = 60",
    [{ of: "total" }],
  ],
])("control: %s is seen", async (_, lie, then, seen) => {
  await using at = await testDatabase();
  const who = await playground(at);
  await play(at, who, { what: "limits", limits: { minute: 50 } });
  await play(at, who, { what: "send", n: 0, units: 3, times: 2 });
  expect(await differences(at, who)).toEqual([]);
  if (lie !== "") await at.pool.query(lie);
  await (typeof then === "string" ? at.pool.query(then) : play(at, who, then));
  expect(await differences(at, who)).toMatchObject(seen);
});
