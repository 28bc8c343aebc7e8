/**
 * The sender domains of an account that goes to another master.
 *
 * Invariant: what it has proved itself goes with it; what its old master had granted it does not.
 */
import { sql } from "kysely";
import type { Db } from "../platform/database.ts";
import type { MasterId, SubaccountId } from "../platform/ids.ts";

/** Claims of the same name that the new owner has already stay, and those that come are given up. */
export async function moveDomains(
  trx: Db,
  from: SubaccountId,
  to: Readonly<{ masterId: MasterId; subaccountId: SubaccountId }>,
): Promise<void> {
  await trx.deleteFrom("domain_grant").where("subaccount_id", "=", from).execute();
  await sql`delete from sender_domain d where d.subaccount_id = ${from} and exists (
    select from sender_domain o where o.master_id = ${to.masterId} and o.subaccount_id = ${to.subaccountId} and o.name = d.name)`.execute(
    trx,
  );
  const owner = { master_id: to.masterId, subaccount_id: to.subaccountId };
  await trx.updateTable("sender_domain").set(owner).where("subaccount_id", "=", from).execute();
}
