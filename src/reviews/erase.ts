/** Takes the words out of the operator's queries on an erased account; that there were some, and what came of them, stays. */
import type { Db } from "../platform/database.ts";
import type { SubaccountId } from "../platform/ids.ts";

export async function eraseReviews(trx: Db, subaccountId: SubaccountId): Promise<void> {
  const nothing = { question: "", answer: null, note: null };
  await trx.updateTable("review").set(nothing).where("subaccount_id", "=", subaccountId).execute();
}

export async function hasOpenReview(db: Db, subaccountId: SubaccountId): Promise<boolean> {
  const query = db.selectFrom("review").select("id").where("subaccount_id", "=", subaccountId);
  return (await query.where("state", "<>", "closed").executeTakeFirst()) !== undefined;
}
