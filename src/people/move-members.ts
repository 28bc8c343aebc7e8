/**
 * The people of an account that goes to another master: their places go with it.
 *
 * Invariant: nobody gains a place he did not have; sessions and links of before have ended with the account that was put away.
 */
import type { Db } from "../platform/database.ts";
import type { MasterId, SubaccountId } from "../platform/ids.ts";

/** @param to the account, or the master that it has become: its people are that master's then */
export async function moveMembers(trx: Db, from: SubaccountId, to: SubaccountId | Readonly<{ master: MasterId }>) {
  const place =
    typeof to === "string" ? { subaccount_id: to, master_id: null } : { subaccount_id: null, master_id: to.master };
  await trx
    .updateTable("member")
    .set(place)
    .where("subaccount_id", "=", from)
    .where("removed_at", "is", null)
    .execute();
}
