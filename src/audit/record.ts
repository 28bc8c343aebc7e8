/**
 * Who changed what, in the transaction of the change.
 *
 * Invariant: a change and its entry commit together or not at all. `before` and `after` hold members in snake_case as the
 * API shows them, only those that differ where both are given, and never a secret.
 */
import type { Principal } from "../accounts/principal.ts";
import type { Clock } from "../platform/clock.ts";
import type { Db } from "../platform/database.ts";
import { type AuditId, formatId, type MasterId, type MemberId, newId, type SubaccountId } from "../platform/ids.ts";

export type Members = Readonly<Record<string, unknown>>;

export type AuditRecord = Readonly<{
  /** `{kind: "system"}`: a job. */
  principal: Principal | Readonly<{ kind: "system" }>;
  /** What was done, e.g. `subaccount.created`, `quota.set`. */
  action: string;
  /** TypeID of what was changed. */
  target: string;
  before: Members | null;
  after: Members | null;
  masterId: MasterId | null;
  subaccountId: SubaccountId | null;
}>;

export async function record(trx: Db, entry: AuditRecord, clock: Clock): Promise<void> {
  const { before, after } = differing(entry.before, entry.after);
  await trx
    .insertInto("audit_entry")
    .values({
      id: newId<AuditId>(clock),
      at: clock.now(),
      master_id: entry.masterId,
      subaccount_id: entry.subaccountId,
      ...actorOf(entry.principal),
      action: entry.action,
      target: entry.target,
      before: before === null ? null : JSON.stringify(before),
      after: after === null ? null : JSON.stringify(after),
    })
    .execute();
}

export type Actor = Readonly<{
  actor_kind: "operator" | "master" | "subaccount" | "system" | "cli";
  actor_id: string | null;
  acting_for: string | null;
}>;

export function actorOf(principal: AuditRecord["principal"]): Actor {
  if (principal.kind === "system") return { actor_kind: "system", actor_id: null, acting_for: null };
  if (principal.kind === "operator") {
    return {
      actor_kind: principal.via === "cli" ? "cli" : "operator",
      actor_id: memberOf(principal),
      acting_for: null,
    };
  }
  const account =
    principal.kind === "master" ? formatId("mas", principal.masterId) : formatId("sub", principal.subaccountId);
  if (principal.operator) return { actor_kind: "operator", actor_id: memberOf(principal), acting_for: account };
  if (principal.kind === "subaccount" && principal.by !== undefined) {
    return { ...actorOf(principal.by), acting_for: account };
  }
  const actorId = principal.keyId === null ? (memberOf(principal) ?? account) : formatId("key", principal.keyId);
  return { actor_kind: principal.kind, actor_id: actorId, acting_for: null };
}

const memberOf = ({ memberId }: Readonly<{ memberId?: MemberId }>) =>
  memberId === undefined ? null : formatId("mem", memberId);

/** Only the members whose values differ. A creation has no before, a deletion no after: those stay whole. */
export function differing(
  before: Members | null,
  after: Members | null,
): { before: Members | null; after: Members | null } {
  if (before === null || after === null) return { before, after };
  const names = [...new Set([...Object.keys(before), ...Object.keys(after)])].filter(
    (name) => JSON.stringify(before[name] ?? null) !== JSON.stringify(after[name] ?? null),
  );
  const pick = (from: Members) => Object.fromEntries(names.map((name) => [name, from[name] ?? null]));
  return { before: pick(before), after: pick(after) };
}
