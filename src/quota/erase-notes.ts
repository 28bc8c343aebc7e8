/** Notes of an erased account's top-ups go; the units stay. */
import type { Db } from "../platform/database.ts";
import type { SubaccountId } from "../platform/ids.ts";

export async function eraseNotes(trx: Db, subaccountId: SubaccountId): Promise<void> {
  await trx.updateTable("top_up").set({ note: null }).where("subaccount_id", "=", subaccountId).execute();
}
