/**
 * The plan that was to take over has taken over: the subaccount's own row follows what its usage rows have done by themselves.
 *
 * Invariant: mail is decided by the usage rows, which have the next plan's limit from the first instant of its period
 * (migrations/0030). Until this has run the account only shows its plan of before; whoever changes it runs this first.
 */
import { sql } from "kysely";
import { record } from "../audit/record.ts";
import { emit } from "../events/emit.ts";
import type { Clock } from "../platform/clock.ts";
import type { Db } from "../platform/database.ts";
import { formatId, type MasterId, type SubaccountId } from "../platform/ids.ts";
import { inTransaction } from "../platform/transaction.ts";

type Taken = Readonly<{
  master_id: MasterId;
  plan: string;
  plan_version: number;
  monthly_limit: number | null;
  old_plan: string | null;
  old_version: number | null;
  old_limit: number | null;
}>;

/** Of a subaccount that the caller has locked, or that nobody holds. False: nothing was due. */
export async function takeNextPlan(trx: Db, id: SubaccountId, clock: Clock): Promise<boolean> {
  const { rows } = await sql<Taken>`
    update subaccount s
       set plan = p.name, plan_id = p.id, plan_version = v.n, features = v.features, monthly_limit = o.next_monthly_limit,
           next_plan_id = null, next_plan_version = null, next_monthly_limit = null, next_plan_at = null,
           updated_at = pm_now(), version = s.version + 1
      from subaccount o, plan p, plan_version v
     where s.id = ${id} and o.id = s.id and s.next_plan_at <= pm_now()
       and p.id = o.next_plan_id and v.plan_id = p.id and v.n = o.next_plan_version
    returning s.master_id, s.plan, s.plan_version, s.monthly_limit, o.plan as old_plan, o.plan_version as old_version,
              o.monthly_limit as old_limit`.execute(trx);
  const [taken] = rows;
  if (taken === undefined) return false;
  const of = { masterId: taken.master_id, subaccountId: id };
  const before = { plan: taken.old_plan, plan_version: taken.old_version, monthly_limit: taken.old_limit };
  const after = { plan: taken.plan, plan_version: taken.plan_version, monthly_limit: taken.monthly_limit };
  const target = formatId("sub", id);
  const principal = { kind: "system" } as const;
  await record(trx, { principal, action: "subaccount.plan_changed", target, before, after, ...of }, clock);
  const at = clock.now();
  const data = { monthly_limit: after.monthly_limit, previous: before.monthly_limit };
  await emit(trx, { type: "subaccount.plan_changed", ...of, at, data: { ...data, next: null } }, clock);
  if (data.monthly_limit !== data.previous) await emit(trx, { type: "quota.changed", ...of, at, data }, clock);
  return true;
}

const PAGE = 200;

/** The job: one transaction for each. Returns how many. */
export async function takeNextPlans(db: Db, clock: Clock): Promise<number> {
  let taken = 0;
  for (;;) {
    const { rows } = await sql<{ id: SubaccountId }>`
      select id from subaccount where next_plan_at <= pm_now() order by next_plan_at, id limit ${sql.lit(PAGE)}`.execute(
      db,
    );
    let now = 0;
    for (const { id } of rows) if (await inTransaction(db, (trx) => takeNextPlan(trx, id, clock))) now += 1;
    taken += now;
    if (rows.length < PAGE || now === 0) return taken;
  }
}
