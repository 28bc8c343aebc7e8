/** Takes the words out of the operator's queries on an erased account; that there were some, and what came of them, stays. */
import { eraseEntriesAbout } from "../audit/erase.ts";
import type { Db } from "../platform/database.ts";
import { formatId, type SubaccountId } from "../platform/ids.ts";

export async function eraseReviews(trx: Db, subaccountId: SubaccountId): Promise<void> {
  const nothing = { question: "", answer: null, note: null };
  const query = trx.updateTable("review").set(nothing).where("subaccount_id", "=", subaccountId);
  const rows = await query.returning(["id", "master_id", "opened_at"]).execute();
  for (const { id, master_id: masterId, opened_at: openedAt } of rows) {
    await eraseEntriesAbout(trx, masterId, [formatId("rev", id)], openedAt);
  }
}

export async function hasOpenReview(db: Db, subaccountId: SubaccountId): Promise<boolean> {
  const query = db.selectFrom("review").select("id").where("subaccount_id", "=", subaccountId);
  return (await query.where("state", "<>", "closed").executeTakeFirst()) !== undefined;
}
