/**
 * The audit log, newest first.
 *
 * Invariant: a master sees what was done to it and its subaccounts, also by the operator. A subaccount sees what was
 * done to it, and of others' doing only that it was done: values and keys are its master's. Why somebody looked into its
 * account it sees.
 */
import type { Principal } from "../accounts/principal.ts";
import { reachOf } from "../accounts/principal.ts";
import type { Db } from "../platform/database.ts";
import type { AuditId, MasterId, SubaccountId } from "../platform/ids.ts";

export type AuditEntry = Readonly<{
  id: AuditId;
  at: Date;
  masterId: MasterId | null;
  subaccountId: SubaccountId | null;
  actor: Readonly<{
    kind: "operator" | "master" | "subaccount" | "system" | "cli";
    /** TypeID of the key, or of the account where there was none. */
    id: string | null;
    /** TypeID of the account it acted for. */
    actingFor: string | null;
  }>;
  action: string;
  /** TypeID of what was changed. */
  target: string;
  before: unknown;
  after: unknown;
}>;

export type AuditFilter = Readonly<{
  action?: string | undefined;
  target?: string | undefined;
  subaccountId?: SubaccountId | undefined;
  /** The operator's choice. */
  masterId?: MasterId | undefined;
  after?: AuditId | undefined;
  limit: number;
}>;

/** Others' doing whose values are told to the subaccount, too. */
const toldWhole: ReadonlySet<string> = new Set(["account.log_in_as"]);

/** `limit + 1` rows, the last tells that there is more. */
export async function listAudit(db: Db, principal: Principal, filter: AuditFilter): Promise<AuditEntry[]> {
  const reach = reachOf(principal);
  let query = db
    .selectFrom("audit_entry")
    .selectAll()
    .orderBy("id", "desc")
    .limit(filter.limit + 1);
  for (const masterId of [reach.masterId, filter.masterId]) {
    if (masterId != null) query = query.where("master_id", "=", masterId);
  }
  for (const subaccountId of [reach.subaccountId, filter.subaccountId]) {
    if (subaccountId != null) query = query.where("subaccount_id", "=", subaccountId);
  }
  if (filter.action !== undefined) query = query.where("action", "=", filter.action);
  if (filter.target !== undefined) query = query.where("target", "=", filter.target);
  if (filter.after !== undefined) query = query.where("id", "<", filter.after);
  const rows = await query.execute();
  return rows.map((row) => {
    const hidden = principal.kind === "subaccount" && row.actor_kind !== "subaccount";
    const bare = hidden && !toldWhole.has(row.action);
    return {
      id: row.id,
      at: row.at,
      masterId: row.master_id,
      subaccountId: row.subaccount_id,
      actor: { kind: row.actor_kind, id: hidden ? null : row.actor_id, actingFor: hidden ? null : row.acting_for },
      action: row.action,
      target: row.target,
      before: bare ? null : row.before,
      after: bare ? null : row.after,
    };
  });
}
