/** A transfer: an account is offered to another payer, and by whom it can be taken. Values of it come from this file only. */
import { type Selectable, sql } from "kysely";
import { type Principal, reachOf } from "../accounts/principal.ts";
import type { Clock } from "../platform/clock.ts";
import type { Db } from "../platform/database.ts";
import { notFound } from "../platform/errors.ts";
import type { MasterId, SubaccountId, TransferId } from "../platform/ids.ts";
import type { Schema } from "../platform/schema.ts";

export const transferKinds = ["move", "standalone", "renewal"] as const;
export const transferStates = ["offered", "accepted", "done", "withdrawn", "declined", "expired"] as const;

export type Transfer = Readonly<{
  id: TransferId;
  kind: (typeof transferKinds)[number];
  /** `accepted`: it waits for the operator. */
  state: (typeof transferStates)[number];
  subaccountId: SubaccountId;
  fromMasterId: MasterId;
  toMasterId: MasterId | null;
  offeredBy: "master" | "subaccount";
  /** What it has become. */
  movedTo: SubaccountId | null;
  createdAt: Date;
  expiresAt: Date;
  settledAt: Date | null;
}>;

export function transferOf(row: Selectable<Schema["transfer"]>, now: Date): Transfer {
  const lapsed = row.state === "offered" && now >= row.expires_at;
  return {
    id: row.id,
    kind: row.kind,
    state: lapsed ? "expired" : row.state,
    subaccountId: row.subaccount_id,
    fromMasterId: row.from_master_id,
    toMasterId: row.to_master_id,
    offeredBy: row.offered_by,
    movedTo: row.moved_to,
    createdAt: row.created_at,
    expiresAt: row.expires_at,
    settledAt: row.settled_at,
  };
}

/** Either side sees it; the account itself by what it is now, or was. */
export function selectTransfers(db: Db, principal: Principal) {
  const { masterId, subaccountId } = reachOf(principal);
  const query = db.selectFrom("transfer as t").selectAll("t");
  if (subaccountId !== null) {
    return query.where(sql<boolean>`${subaccountId} in (t.subaccount_id, t.moved_to)`);
  }
  return masterId === null ? query : query.where(sql<boolean>`${masterId} in (t.from_master_id, t.to_master_id)`);
}

/** @throws Fault not-found */
export async function findTransfer(db: Db, principal: Principal, id: TransferId, clock: Clock): Promise<Transfer> {
  const row = await selectTransfers(db, principal).where("t.id", "=", id).executeTakeFirst();
  if (row === undefined) throw notFound("transfer");
  return transferOf(row, clock.now());
}

export type TransferFilter = Readonly<{
  after?: TransferId | undefined;
  subaccountId?: SubaccountId | undefined;
  limit: number;
}>;

/** Newest first; `limit + 1` rows, the last tells that there is more. */
export async function listTransfers(
  db: Db,
  principal: Principal,
  filter: TransferFilter,
  clock: Clock,
): Promise<Transfer[]> {
  let query = selectTransfers(db, principal);
  if (filter.after !== undefined) query = query.where("t.id", "<", filter.after);
  if (filter.subaccountId !== undefined) query = query.where("t.subaccount_id", "=", filter.subaccountId);
  const rows = await query
    .orderBy("t.id", "desc")
    .limit(filter.limit + 1)
    .execute();
  return rows.map((row) => transferOf(row, clock.now()));
}

/** As the audit log keeps it. */
export function transferMembers({ kind, state, offeredBy, expiresAt }: Transfer): Record<string, unknown> {
  return { kind, state, offered_by: offeredBy, expires_at: expiresAt };
}
