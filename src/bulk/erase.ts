/** Takes out what imports and bulk changes hold of an erased account: its rows' contents. Their counts stay. */
import type { Db } from "../platform/database.ts";
import type { SubaccountId } from "../platform/ids.ts";

export async function eraseItems(trx: Db, subaccountId: SubaccountId): Promise<void> {
  const nothing = { given: null, before: null, after: null, errors: null, secret: null };
  await trx.updateTable("bulk_item").set(nothing).where("subaccount_id", "=", subaccountId).execute();
}
