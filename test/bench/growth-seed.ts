/**
 * Fills the tables as years of use would: by bulk loads, and so that `postmeter ledger verify` agrees with the result.
 *
 * Every id is a UUIDv7 made of an instant, a tag that tells seeds apart, and a number.
 */
import type { Pool, PoolClient } from "pg";
import { createKeyring } from "../../src/platform/secrets.ts";
import { benchSecret } from "./relay.ts";
import type { Login } from "./target.ts";

export type Say = (text: string) => void;

const password = "bench-bench-bench-bench-bench-be";
export const passwordHash = createKeyring(benchSecret).hash(password);

/** Instants are ms since 1970. Inlined by the planner, so that a bulk load pays no call per row. */
const functions = `
create schema if not exists bench;
create or replace function bench.id(ms bigint, tag int, n bigint) returns uuid immutable language sql as
  $$ select (lpad(to_hex(ms), 12, '0') || '7' || lpad(to_hex(tag), 3, '0') || '8000' || lpad(to_hex(n), 12, '0'))::uuid $$;
create or replace function bench.period(out starts timestamptz, out ends timestamptz) stable language sql as
  $$ select date_trunc('month', pm_now() at time zone 'UTC') at time zone 'UTC',
            (date_trunc('month', pm_now() at time zone 'UTC') + interval '1 month') at time zone 'UTC' $$;`;

export const tags = { subaccount: 1, credential: 2, master: 3, entry: 4, message: 5 } as const;
/** Seeded accounts are as old as the running month, so that no earlier one waits for its statement. */
const now = new Date();
const createdMs = Date.UTC(now.getUTCFullYear(), now.getUTCMonth(), 1);

export async function prepare(pool: Pool): Promise<void> {
  await pool.query(functions);
}

/** Runs `statement` for slices [$1, $2] of 1 to `count`, each a commit of its own, and says how far it is. */
export async function inSlices(
  pool: Pool,
  { what, count, slice, say }: Readonly<{ what: string; count: number; slice: number; say: Say }>,
  work: (client: PoolClient, from: number, to: number) => Promise<unknown>,
): Promise<void> {
  const client = await pool.connect();
  try {
    await client.query("set synchronous_commit = off; set statement_timeout = 0");
    for (let from = 1; from <= count; from += slice) {
      const to = Math.min(from + slice - 1, count);
      await client.query("begin");
      await work(client, from, to);
      await client.query("commit");
      say(`${what}: ${to.toLocaleString("en-US")} of ${count.toLocaleString("en-US")}`);
    }
  } finally {
    client.release(true); // with its settings
  }
}

const addSubaccounts = `
with made as (
  insert into subaccount (id, master_id, name, slug, monthly_limit, owner_name, owner_email, external_id, plan, created_at, updated_at)
  select bench.id($4, ${tags.subaccount}, n), $1, 'Customer ' || md5(n::text), 'customer-' || n, 1000000, 'Owner ' || n,
         'owner' || n || '@customer' || n || '.example', 'ext-' || n, (array['basic', 'plus', 'pro'])[n % 3 + 1],
         to_timestamp($4 / 1000.0), to_timestamp($4 / 1000.0)
    from generate_series($2::bigint, $3::bigint) n returning id
), door as (
  insert into credential (id, subaccount_id, master_id, username, secret_hash, created_at)
  select bench.id($4, ${tags.credential}, n), bench.id($4, ${tags.subaccount}, n), $1, 'pm-seeded-' || n, $5, to_timestamp($4 / 1000.0)
    from generate_series($2::bigint, $3::bigint) n
) select count(*) from made`;

/** Numbers `from` to `to`, each with a credential. */
export async function seedSubaccounts(pool: Pool, masterId: string, from: number, to: number, say: Say): Promise<void> {
  const order = { what: "subaccounts", count: to - from + 1, slice: 20_000, say };
  await inSlices(pool, order, (client, a, b) =>
    client.query(addSubaccounts, [masterId, from + a - 1, from + b - 1, createdMs, passwordHash]),
  );
  await pool.query("analyze subaccount, credential, usage");
}

const addMasters = `
with made as (
  insert into master (id, name, allowance, sender_policy, notification_emails, own_subaccount_id, created_at, updated_at)
  select bench.id($3, ${tags.master}, n), 'Reseller ' || md5(n::text), 1000000000, 'any', '["post@reseller.example"]',
         bench.id($3, ${tags.master}, n + 1000000000), to_timestamp($3 / 1000.0), to_timestamp($3 / 1000.0)
    from generate_series($1::bigint, $2::bigint) n returning id, name, own_subaccount_id, created_at
), own as (
  insert into subaccount (id, master_id, name, slug, created_at, updated_at)
  select own_subaccount_id, id, name, 'reseller-' || own_subaccount_id, created_at, created_at from made
), door as (
  insert into credential (id, subaccount_id, master_id, username, secret_hash, created_at)
  select bench.id($3, ${tags.credential}, n + 1000000000), bench.id($3, ${tags.master}, n + 1000000000), bench.id($3, ${tags.master}, n),
         'pm-reseller-' || n, $4, to_timestamp($3 / 1000.0) from generate_series($1::bigint, $2::bigint) n
) select count(*) from made`;

/** Masters 1 to `count`, each with its own subaccount and a credential. */
export async function seedMasters(pool: Pool, count: number, say: Say): Promise<void> {
  const order = { what: "masters", count, slice: 5000, say };
  await inSlices(pool, order, (client, from, to) => client.query(addMasters, [from, to, createdMs, passwordHash]));
  await pool.query("analyze master, subaccount, credential");
}

/** Logins of seeded accounts, spread evenly over 1 to `of`. */
export function seededLogins(kind: "seeded" | "reseller", of: number, count: number): Login[] {
  return Array.from({ length: count }, (_, n) => ({
    username: `pm-${kind}-${Math.floor((n * of) / count) + 1}`,
    password,
  }));
}

/** The id of a seeded subaccount, as SQL; `n` is an expression. */
export function subaccountId(n: string): string {
  return `bench.id(${createdMs}, ${tags.subaccount}, ${n})`;
}

/**
 * Brings usage rows in line with the entries of the running period: of accounts that have any, and of their masters. In two
 * steps: the plan of usage_terms, made while `usage` is empty, reads all of it for each account, and must not see it grow.
 */
export async function countUp(pool: Pool): Promise<void> {
  const client = await pool.connect();
  try {
    await client.query("set statement_timeout = 0; set work_mem = '256MB'");
    await client.query(`
      create temporary table counted as
      with p as (select * from bench.period()), charged as (
        select e.master_id, e.subaccount_id, sum(e.units) as units from usage_entry e, p
         where e.period_start = p.starts and e.kind = 'accept' group by 1, 2
      ), accounts as (
        select subaccount_id as id, units from charged union all select master_id, sum(units) from charged group by 1
      )
      select a.id, p.starts, p.ends, t.master_id, a.units, t.cap, t.base, t.top_up, t.open, t.open_until, t.thresholds
        from accounts a, p, usage_terms(a.id, p.starts) t`);
    await client.query(`
      insert into usage (account_id, period_start, period_end, master_id, used, cap, base, top_up, open, open_until, thresholds)
      select * from counted
      on conflict (account_id, period_start) do update set used = excluded.used, version = usage.version + 1`);
    await client.query("analyze usage");
  } finally {
    client.release(true); // with its table
  }
}
