/**
 * Reviews as their parties see them.
 *
 * Invariant: the operator and the master see a review; its subaccount sees it where the contact policy said so when it was opened.
 */
import { type Selectable, sql } from "kysely";
import { type Principal, reachOf } from "../accounts/principal.ts";
import type { Db } from "../platform/database.ts";
import { notFound } from "../platform/errors.ts";
import type { MasterId, ReviewId, SubaccountId } from "../platform/ids.ts";
import type { Schema } from "../platform/schema.ts";

export const reviewStates = ["open", "answered", "closed"] as const;
export type ReviewState = (typeof reviewStates)[number];
export const decisions = ["release", "suspend"] as const;
export type Decision = (typeof decisions)[number];

export type Review = Readonly<{
  id: ReviewId;
  masterId: MasterId;
  subaccountId: SubaccountId;
  question: string;
  /** Its queue is held until the review is closed. */
  hold: boolean;
  told: "subaccount" | "master" | "both";
  state: ReviewState;
  answer: string | null;
  /** TypeID of the account. */
  answeredBy: string | null;
  answeredAt: Date | null;
  decision: Decision | null;
  note: string | null;
  openedAt: Date;
  closedAt: Date | null;
  version: number;
}>;

export type ReviewFilter = Readonly<{
  states?: readonly ReviewState[] | undefined;
  subaccountId?: SubaccountId | undefined;
  /** The operator's choice. */
  masterId?: MasterId | undefined;
  after?: ReviewId | undefined;
  limit: number;
}>;

/** Newest first; `limit + 1` rows, the last tells that there is more. */
export async function listReviews(db: Db, principal: Principal, filter: ReviewFilter): Promise<Review[]> {
  let query = selectReviews(db, principal).selectAll();
  if (filter.states !== undefined) query = query.where("state", "in", [...filter.states]);
  if (filter.subaccountId !== undefined) query = query.where("subaccount_id", "=", filter.subaccountId);
  if (filter.masterId !== undefined) query = query.where("master_id", "=", filter.masterId);
  if (filter.after !== undefined) query = query.where("id", "<", filter.after);
  const rows = await query
    .orderBy("id", "desc")
    .limit(filter.limit + 1)
    .execute();
  return rows.map(reviewOf);
}

/** `change`: nobody else changes it until the transaction ends. @throws Fault not-found */
export async function findReview(
  db: Db,
  principal: Principal,
  id: ReviewId,
  purpose: "read" | "change" = "read",
): Promise<Review> {
  const query = selectReviews(db, principal).selectAll().where("id", "=", id);
  const row = await (purpose === "change" ? query.forUpdate() : query).executeTakeFirst();
  if (row === undefined) throw notFound("review");
  return reviewOf(row);
}

function selectReviews(db: Db, principal: Principal) {
  const { masterId, subaccountId } = reachOf(principal);
  let query = db.selectFrom("review");
  if (masterId !== null) query = query.where("master_id", "=", masterId);
  if (subaccountId !== null)
    query = query.where("subaccount_id", "=", subaccountId).where(sql<boolean>`told <> 'master'`);
  return query;
}

export function reviewOf(row: Selectable<Schema["review"]>): Review {
  const { id, question, hold, told, state, answer, decision, note, version } = row;
  return {
    ...{ id, question, hold, told, state, answer, decision, note, version },
    masterId: row.master_id,
    subaccountId: row.subaccount_id,
    answeredBy: row.answered_by,
    answeredAt: row.answered_at,
    openedAt: row.opened_at,
    closedAt: row.closed_at,
  };
}
