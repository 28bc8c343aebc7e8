/** Rules of an erased account: it never sends again, and their names are words of people. */
import type { Db } from "../platform/database.ts";
import type { SubaccountId } from "../platform/ids.ts";

export async function forgetRules(trx: Db, subaccountId: SubaccountId): Promise<void> {
  await trx.deleteFrom("alert_rule").where("subaccount_id", "=", subaccountId).execute();
}
