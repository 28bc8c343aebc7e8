/** Which log-ins of an account are locked after too many failures (lockout.ts), and ending that by hand. */
import { sql } from "kysely";
import { record } from "../audit/record.ts";
import type { Clock } from "../platform/clock.ts";
import type { Db } from "../platform/database.ts";
import { formatId } from "../platform/ids.ts";
import { inTransaction } from "../platform/transaction.ts";
import type { Subaccount } from "./account.ts";
import { requireMasterChange } from "./permit.ts";
import type { Principal } from "./principal.ts";

export type Lock = Readonly<{
  /** User name or e-mail address. */
  name: string;
  /** Client network: an IPv4 address or an IPv6 /64. */
  network: string;
  until: Date;
}>;

export async function listLocks(db: Db, subaccount: Subaccount): Promise<Lock[]> {
  const rows = await db
    .selectFrom("lockout")
    .select(["name", "network", "locked_until"])
    .where("subaccount_id", "=", subaccount.id)
    .where("master_id", "=", subaccount.masterId)
    .where("locked_until", ">", sql<Date>`pm_now()`)
    .orderBy("locked_until")
    .execute();
  return rows.map(({ name, network, locked_until }) => ({
    name: name ?? "",
    network: network ?? "",
    until: locked_until as Date,
  }));
}

/** All log-ins of a subaccount, on every node. @returns how many were locked. @throws Fault forbidden */
export async function unlock(db: Db, principal: Principal, subaccount: Subaccount, clock: Clock): Promise<number> {
  requireMasterChange(principal);
  return inTransaction(db, async (trx) => {
    const { rows } = await sql<{ name: string }>`
      with gone as (delete from lockout where subaccount_id = ${subaccount.id} and master_id = ${subaccount.masterId}
                    returning key, name, locked_until)
      select name, pg_notify('postmeter_account', 'unlock:' || encode(key, 'hex')) from gone where locked_until is not null`.execute(
      trx,
    );
    if (rows.length === 0) return 0;
    const { id: subaccountId, masterId } = subaccount;
    const target = formatId("sub", subaccountId);
    const before = { locked: rows.map(({ name }) => name) };
    await record(
      trx,
      { principal, action: "subaccount.unlocked", target, before, after: null, masterId, subaccountId },
      clock,
    );
    return rows.length;
  });
}
