/**
 * The operator asks how a subaccount sends, holds its queue if it must, and decides on the answer.
 *
 * Invariant: the hold of a review is lifted by its decision alone; neither the operator's own hold nor an ended suspension touches
 * it, and it touches neither. Nobody but the operator opens or closes one. The letters go out by a job of the same transaction.
 */

import { line, text } from "../accounts/fields.ts";
import { findMaster, findSubaccount, type SubaccountRef } from "../accounts/find.ts";
import { requireOperator } from "../accounts/permit.ts";
import type { Principal } from "../accounts/principal.ts";
import { transitionSubaccount } from "../accounts/transition.ts";
import type { Clock } from "../platform/clock.ts";
import type { Db } from "../platform/database.ts";
import { Fault, invalid } from "../platform/errors.ts";
import { newId, type ReviewId } from "../platform/ids.ts";
import { addJob } from "../platform/jobs.ts";
import { inTransaction } from "../platform/transaction.ts";
import { holdFor, releaseFor } from "../spool/change.ts";
import { type Decision, findReview, type Review, reviewOf } from "./review.ts";
import { tell } from "./tell.ts";

const MAX_TEXT = 5000;

export type NewReview = Readonly<{ subaccount: SubaccountRef; question: string; hold: boolean }>;

/** @throws Fault not-found, forbidden, invalid at /question, conflict while another is open */
export async function openReview(db: Db, principal: Principal, wanted: NewReview, clock: Clock): Promise<Review> {
  requireOperator(principal);
  requireWords("/question", wanted.question);
  return inTransaction(db, async (trx) => {
    const subaccount = await findSubaccount(trx, principal, wanted.subaccount, clock, "change");
    const master = await findMaster(trx, { kind: "operator", via: "key" }, subaccount.masterId, clock);
    const row = await trx
      .insertInto("review")
      .values({
        id: newId<ReviewId>(clock),
        master_id: subaccount.masterId,
        subaccount_id: subaccount.id,
        question: wanted.question,
        hold: wanted.hold,
        told: subaccount.own ? "master" : master.contactPolicy.review,
        opened_at: clock.now(),
      })
      .onConflict((conflict) => conflict.doNothing())
      .returningAll()
      .executeTakeFirst();
    if (row === undefined) throw new Fault("conflict", "A review of this subaccount is open already: close it first.");
    const review = reviewOf(row);
    if (review.hold) await holdFor(trx, subaccount.id, causeOf(review.id));
    await tell(trx, principal, "opened", null, review, clock);
    await addJob(trx, "review_letter", { review_id: review.id, about: "opening" });
    return review;
  });
}

export type Closing = Readonly<{ decision: Decision; note?: string | null | undefined }>;

/** Repeating the same decision changes nothing. @throws Fault not-found, forbidden, invalid at /note, conflict when it was decided otherwise */
export async function closeReview(
  db: Db,
  principal: Principal,
  id: ReviewId,
  { decision, note = null }: Closing,
  clock: Clock,
): Promise<Review> {
  requireOperator(principal);
  if (note !== null) requireWords("/note", note);
  return inTransaction(db, async (trx) => {
    const { subaccountId } = await findReview(trx, principal, id);
    await findSubaccount(trx, principal, subaccountId, clock, "change"); // before the review, as openReview does
    const before = await findReview(trx, principal, id, "change");
    if (before.state === "closed") {
      if (before.decision === decision) return before;
      throw new Fault("conflict", `The review was closed already: ${before.decision}.`);
    }
    const row = await trx
      .updateTable("review")
      .set((eb) => ({ state: "closed", decision, note, closed_at: clock.now(), version: eb("version", "+", 1) }))
      .where("id", "=", id)
      .returningAll()
      .executeTakeFirstOrThrow();
    const review = reviewOf(row);
    if (decision === "suspend") await transitionSubaccount(trx, principal, subaccountId, "suspend", {}, clock);
    await releaseFor(trx, subaccountId, causeOf(id));
    await tell(trx, principal, "closed", before, review, clock);
    await addJob(trx, "review_letter", { review_id: id, about: "closing" });
    return review;
  });
}

/** The hold that this review has made, among others. */
const causeOf = (id: ReviewId) => `review:${id}`;

/** Of several lines, and not blank. @throws Fault invalid */
export function requireWords(pointer: string, words: string): void {
  const wrong = text(MAX_TEXT)(words) ?? line(MAX_TEXT)(words.replaceAll(/[\n\r\t]+/g, " "));
  if (wrong !== undefined) throw invalid(pointer, wrong);
}
