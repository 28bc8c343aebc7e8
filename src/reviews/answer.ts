/** The answer of the subaccount or its master to a review. Until the review is closed a later one takes the place of an earlier. */
import { requireChange } from "../accounts/permit.ts";
import type { Principal } from "../accounts/principal.ts";
import type { Clock } from "../platform/clock.ts";
import type { Db } from "../platform/database.ts";
import { Fault } from "../platform/errors.ts";
import { formatId, type ReviewId } from "../platform/ids.ts";
import { inTransaction } from "../platform/transaction.ts";
import { requireWords } from "./open.ts";
import { findReview, type Review, reviewOf } from "./review.ts";
import { tell } from "./tell.ts";

/** @throws Fault not-found, forbidden, invalid at /answer, conflict when it is closed */
export async function answerReview(
  db: Db,
  principal: Principal,
  id: ReviewId,
  answer: string,
  clock: Clock,
): Promise<Review> {
  requireChange(principal);
  requireWords("/answer", answer);
  return inTransaction(db, async (trx) => {
    const before = await findReview(trx, principal, id, "change");
    if (before.state === "closed") throw new Fault("conflict", "The review is closed.");
    const row = await trx
      .updateTable("review")
      .set((eb) => ({
        state: "answered",
        answer,
        answered_by: accountOf(principal),
        answered_at: clock.now(),
        version: eb("version", "+", 1),
      }))
      .where("id", "=", id)
      .returningAll()
      .executeTakeFirstOrThrow();
    const review = reviewOf(row);
    await tell(trx, principal, "answered", before, review, clock);
    return review;
  });
}

function accountOf(principal: Principal): string | null {
  if (principal.kind === "operator") return null;
  return principal.kind === "master" ? formatId("mas", principal.masterId) : formatId("sub", principal.subaccountId);
}
