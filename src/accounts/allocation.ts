/**
 * How much of a master's allowance its subaccounts may be given.
 *
 * Invariant: with `strict_allocation` the limits and top-ups of all subaccounts never sum to more than the allowance by
 * a change made here; the master's row is locked while one is decided, so two changes can't take the same room.
 */
import { type RawBuilder, sql } from "kysely";
import { periodAt } from "../metering/period.ts";
import type { Clock } from "../platform/clock.ts";
import type { Db } from "../platform/database.ts";
import { Fault, invalid } from "../platform/errors.ts";
import type { MasterId, SubaccountId } from "../platform/ids.ts";
import type { Master } from "./account.ts";
import { findMaster } from "./find.ts";
import type { Principal } from "./principal.ts";

/** Keeps the master as it is; where room is counted, for this transaction alone. */
export async function lockAllowance(
  trx: Db,
  principal: Principal,
  id: MasterId | undefined,
  clock: Clock,
): Promise<Master> {
  const { strictAllocation } = await findMaster(trx, principal, id, clock);
  const master = await findMaster(trx, principal, id, clock, strictAllocation ? "change" : "keep");
  if (master.strictAllocation && !strictAllocation) {
    throw new Fault("unavailable", "The master account was changed at the same moment; try again.");
  }
  return master;
}

/**
 * A limit that may be set under this master.
 * @param except the subaccount whose limit it is; null for a new one
 * @throws Fault invalid at /monthly_limit, conflict when strict allocation leaves no room
 */
export async function requireLimit(
  trx: Db,
  master: Master,
  limit: number | null,
  except: SubaccountId | null,
  clock: Clock,
): Promise<void> {
  const wrong = limitProblem(master, limit);
  if (wrong !== undefined) throw invalid("/monthly_limit", wrong);
  if (limit !== null) await requireRoom(trx, master, limit, except, clock);
}

/** Why it can't be a limit under this master, whatever the others have. */
export function limitProblem(master: Master, limit: number | null): string | undefined {
  const { allowance, overage, strictAllocation } = master;
  if (limit === null) return strictAllocation ? "With strict allocation every subaccount needs a limit." : undefined;
  const above = allowance !== null && overage === "block" && limit > allowance;
  return above ? `The limit can't be above the master's allowance of ${allowance}.` : undefined;
}

/** Room for so many units, beside what all but `except` have. No question without strict allocation. @throws Fault conflict */
export async function requireRoom(
  trx: Db,
  master: Master,
  units: number,
  except: SubaccountId | null,
  clock: Clock,
  pointer = "/monthly_limit",
): Promise<void> {
  if (!master.strictAllocation || master.allowance === null) return;
  const room = master.allowance - (await allocated(trx, master, except, clock));
  if (units <= room) return;
  throw new Fault(
    "conflict",
    `Strict allocation is on: ${units} units are more than the ${Math.max(0, room)} that are still to give.`,
    [{ pointer, detail: `Only ${Math.max(0, room)} units of the allowance are still to give.` }],
  );
}

/** Units that are still to give; null: nobody counts them. For plans: another change may take them meanwhile. */
export async function roomOf(db: Db, master: Master, clock: Clock): Promise<number | null> {
  if (!master.strictAllocation || master.allowance === null) return null;
  return master.allowance - (await allocated(db, master, null, clock));
}

/** For turning strict allocation on. @throws Fault conflict */
export async function requireAllAllocated(trx: Db, master: Master, clock: Clock): Promise<void> {
  const { rows } = await sql<{ name: string }>`select name from subaccount s where s.master_id = ${master.id}
    and s.monthly_limit is null and not s.sandbox and s.state not in ('closed', 'archived') and s.id <> ${master.ownSubaccountId} limit 1`.execute(
    trx,
  );
  const [unlimited] = rows;
  const pointer = "/strict_allocation";
  if (unlimited !== undefined) {
    const detail = `Every subaccount needs a limit first; ${unlimited.name} has none.`;
    throw new Fault("conflict", detail, [{ pointer, detail }]);
  }
  const given = master.allowance === null ? 0 : await allocated(trx, master, null, clock);
  if (master.allowance === null || given <= master.allowance) return;
  const detail = `The limits sum to ${given}, more than the allowance of ${master.allowance}.`;
  throw new Fault("conflict", detail, [{ pointer, detail }]);
}

/**
 * Closed and archived subaccounts, and the master's own, count what they have used in the running period. A plan that is to take
 * over has its room already.
 */
async function allocated(trx: Db, master: Master, except: SubaccountId | null, clock: Clock): Promise<number> {
  const { start } = periodAt(master.calendar, clock.now());
  const onlyUsed: RawBuilder<boolean> = sql`s.state in ('closed', 'archived') or s.id = ${master.ownSubaccountId}`;
  const { rows } = await sql<{ units: number }>`
    select coalesce(sum(case when ${onlyUsed} then coalesce(u.used, 0)
                             when u.account_id is not null then greatest(greatest(s.monthly_limit, s.next_monthly_limit) + u.top_up, u.used - u.credit_used)
                             else greatest(s.monthly_limit, s.next_monthly_limit) + coalesce((select sum(t.units) from top_up t
                                    where t.subaccount_id = s.id and t.period_start = ${start}), 0) end), 0)::bigint as units
      from subaccount s left join usage u on u.account_id = s.id and u.period_start = ${start} and u.master_id = s.master_id
     where s.master_id = ${master.id} and not s.sandbox and (${except}::uuid is null or s.id <> ${except})`.execute(
    trx,
  );
  return rows[0]?.units ?? 0;
}
