/**
 * Changing a credential: its name, its limits of a short time, and whether it may use the reserve of its subaccount.
 *
 * Invariant: a changed limit rules the next message on every node: a trigger locks the usage rows of the running period in the same
 * transaction (migrations/0020). The subaccount is locked first, so that a usage row that is being opened waits for the change.
 */
import { record } from "../audit/record.ts";
import type { Clock } from "../platform/clock.ts";
import type { Db } from "../platform/database.ts";
import { Fault } from "../platform/errors.ts";
import { type CredentialId, formatId } from "../platform/ids.ts";
import { inTransaction } from "../platform/transaction.ts";
import {
  type Credential,
  type CredentialDetails,
  credentialFields,
  credentialMembers,
  credentialOf,
  findCredential,
  limitColumns,
  lockCredential,
} from "./credentials.ts";
import { checkFields } from "./fields.ts";
import { findSubaccount } from "./find.ts";
import { requireChange } from "./permit.ts";
import type { Principal } from "./principal.ts";
import { mergeRateLimits } from "./rate-limits.ts";

/**
 * A merge patch. What changes nothing writes nothing.
 * @throws Fault invalid, forbidden, not-found, conflict when it is revoked
 */
export async function changeCredential(
  db: Db,
  principal: Principal,
  id: CredentialId,
  patch: CredentialDetails,
  clock: Clock,
): Promise<Credential> {
  requireChange(principal);
  checkFields(credentialFields, patch);
  return inTransaction(db, async (trx) => {
    const { subaccountId } = await findCredential(trx, principal, id);
    await findSubaccount(trx, principal, subaccountId, clock, "change");
    const before = credentialOf(await lockCredential(trx, principal, id));
    if (before.revokedAt !== null) throw new Fault("conflict", "The credential is revoked; create another.");
    const { name = before.name, transactional = before.transactional, rateLimits } = patch;
    const limits = rateLimits === undefined ? before.rateLimits : mergeRateLimits(before.rateLimits, rateLimits);
    const after: Credential = { ...before, name, transactional, rateLimits: limits };
    const members = { before: credentialMembers(before), after: credentialMembers(after) };
    if (JSON.stringify(members.before) === JSON.stringify(members.after)) return before;
    await trx
      .updateTable("credential")
      .set({ name, transactional, ...limitColumns(limits) })
      .where("id", "=", id)
      .execute();
    const { masterId } = after;
    const target = formatId("cred", id);
    await record(trx, { principal, action: "credential.changed", target, ...members, masterId, subaccountId }, clock);
    return after;
  });
}
