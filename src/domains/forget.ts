/** The sender domains of an erased account are given up, and what it was granted. */
import type { Db } from "../platform/database.ts";
import type { SubaccountId } from "../platform/ids.ts";

/** Part of what erases the account; who may do that is decided there. */
export async function forgetDomains(trx: Db, subaccountId: SubaccountId): Promise<void> {
  await trx.deleteFrom("domain_grant").where("subaccount_id", "=", subaccountId).execute();
  await trx.deleteFrom("sender_domain").where("subaccount_id", "=", subaccountId).execute();
}
