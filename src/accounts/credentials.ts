/**
 * SMTP credentials: a generated user name and a generated secret of 160 bits, shown once and stored as a keyed hash.
 *
 * Invariant: at most two secrets of a credential are valid, the older one until the end of its overlap; a revoked
 * credential opens nothing, on any node, from the moment its revocation is known there (accounts/changes.ts).
 */
import { randomBytes } from "node:crypto";
import type { Selectable } from "kysely";
import { record } from "../audit/record.ts";
import type { Clock } from "../platform/clock.ts";
import type { Db } from "../platform/database.ts";
import { Fault, invalid, notFound } from "../platform/errors.ts";
import { type CredentialId, formatId, type MasterId, newId, type SubaccountId } from "../platform/ids.ts";
import type { RateLimits, Schema } from "../platform/schema.ts";
import { base32, type Keyring } from "../platform/secrets.ts";
import { inTransaction } from "../platform/transaction.ts";
import type { Subaccount } from "./account.ts";
import { checkFields, flag, line, orNull, rateLimits } from "./fields.ts";
import { findSubaccount, type SubaccountRef } from "./find.ts";
import { requireDevelop } from "./permit.ts";
import { type Principal, reachOf } from "./principal.ts";
import { mergeRateLimits, type RateLimitsPatch } from "./rate-limits.ts";

export type Credential = Readonly<{
  id: CredentialId;
  subaccountId: SubaccountId;
  masterId: MasterId;
  username: string;
  name: string | null;
  /** What is sent with it is never delivered and never billed. */
  sandbox: boolean;
  createdAt: Date;
  rotatedAt: Date | null;
  /** Until then the secret before the last rotation is valid too. */
  previousUntil: Date | null;
  revokedAt: Date | null;
  /** Within the hour. */
  lastUsedAt: Date | null;
  /** Units in any minute, hour or day, beside those of its subaccount. */
  rateLimits: RateLimits | null;
  /** It may use the subaccount's reserve. */
  transactional: boolean;
}>;

/** Undefined: not given. */
export type CredentialDetails = Readonly<{
  name?: string | null | undefined;
  rateLimits?: RateLimitsPatch | null | undefined;
  transactional?: boolean | undefined;
  /** For good: only at its creation. */
  sandbox?: boolean | undefined;
}>;

/** `password` is shown once and never again. */
export type NewCredential = Readonly<{ credential: Credential; password: string }>;

const MAX_OVERLAP_SECONDS = 7 * 86_400;

/** @throws Fault invalid, forbidden, not-found, conflict when the subaccount is closed */
export async function createCredential(
  db: Db,
  principal: Principal,
  ref: SubaccountRef,
  input: CredentialDetails,
  keyring: Keyring,
  clock: Clock,
): Promise<NewCredential> {
  requireDevelop(principal);
  checkFields(credentialFields, input);
  const limited = (input.rateLimits ?? null) !== null;
  return inTransaction(db, async (trx) => {
    const subaccount = await findSubaccount(trx, principal, ref, clock, limited ? "change" : "keep");
    if (subaccount.ownState === "closed" || subaccount.ownState === "archived") {
      throw new Fault("conflict", `The subaccount is ${subaccount.ownState}; reopen it first.`);
    }
    return insertCredential(trx, principal, subaccount, input, keyring, clock);
  });
}

/** Without questions, for verbs that have asked them. */
export async function insertCredential(
  trx: Db,
  principal: Principal,
  subaccount: Subaccount,
  { name = null, sandbox = false, rateLimits, transactional = false }: CredentialDetails,
  keyring: Keyring,
  clock: Clock,
): Promise<NewCredential> {
  const password = keyring.newSecret();
  const row = await trx
    .insertInto("credential")
    .values({
      id: newId<CredentialId>(clock),
      subaccount_id: subaccount.id,
      master_id: subaccount.masterId,
      username: `pm-${base32(randomBytes(10))}`,
      name,
      sandbox: sandbox && !subaccount.sandbox,
      secret_hash: keyring.hash(password),
      ...limitColumns(mergeRateLimits(null, rateLimits ?? null)),
      transactional,
      created_at: clock.now(),
    })
    .returningAll()
    .executeTakeFirstOrThrow();
  const credential = credentialOf(row);
  await note(trx, principal, "credential.created", credential, clock);
  return { credential, password };
}

/**
 * A new secret for the same user name.
 * @param overlapSeconds how long the secret before stays valid, 0 to 7 days
 * @throws Fault invalid at /overlap_seconds, not-found, conflict when it is revoked
 */
export async function rotateCredential(
  db: Db,
  principal: Principal,
  id: CredentialId,
  overlapSeconds: number,
  keyring: Keyring,
  clock: Clock,
): Promise<NewCredential> {
  requireDevelop(principal);
  if (!Number.isInteger(overlapSeconds) || overlapSeconds < 0 || overlapSeconds > MAX_OVERLAP_SECONDS) {
    throw invalid("/overlap_seconds", `This must be a whole number from 0 to ${MAX_OVERLAP_SECONDS}.`);
  }
  return inTransaction(db, async (trx) => {
    const before = await lockCredential(trx, principal, id);
    if (before.revoked_at !== null) throw new Fault("conflict", "The credential is revoked; create another.");
    const password = keyring.newSecret();
    const now = clock.now();
    const row = await trx
      .updateTable("credential")
      .set({
        secret_hash: keyring.hash(password),
        previous_hash: overlapSeconds === 0 ? null : before.secret_hash,
        previous_until: overlapSeconds === 0 ? null : new Date(now.getTime() + overlapSeconds * 1000),
        rotated_at: now,
      })
      .where("id", "=", id)
      .returningAll()
      .executeTakeFirstOrThrow();
    const credential = credentialOf(row);
    await note(trx, principal, "credential.rotated", credential, clock);
    return { credential, password };
  });
}

/** Revoking a revoked one changes nothing. @throws Fault not-found */
export async function revokeCredential(
  db: Db,
  principal: Principal,
  id: CredentialId,
  clock: Clock,
): Promise<Credential> {
  requireDevelop(principal);
  return inTransaction(db, async (trx) => {
    const row = await lockCredential(trx, principal, id);
    if (row.revoked_at !== null) return credentialOf(row);
    const revoked = { ...row, revoked_at: clock.now() };
    await trx.updateTable("credential").set({ revoked_at: revoked.revoked_at }).where("id", "=", id).execute();
    await note(trx, principal, "credential.revoked", credentialOf(revoked), clock);
    return credentialOf(revoked);
  });
}

/** @throws Fault not-found */
export async function findCredential(db: Db, principal: Principal, id: CredentialId): Promise<Credential> {
  const row = await selectCredentials(db, principal).where("id", "=", id).executeTakeFirst();
  if (row === undefined) throw notFound("credential");
  return credentialOf(row);
}

export type CredentialFilter = Readonly<{ after?: CredentialId | undefined; limit: number }>;

/** Those that are not revoked, oldest first; `limit + 1` rows, the last tells that there is more. @throws Fault not-found */
export async function listCredentials(
  db: Db,
  principal: Principal,
  ref: SubaccountRef,
  filter: CredentialFilter,
  clock: Clock,
): Promise<Credential[]> {
  const { id } = await findSubaccount(db, principal, ref, clock);
  let query = selectCredentials(db, principal).where("subaccount_id", "=", id).where("revoked_at", "is", null);
  if (filter.after !== undefined) query = query.where("id", ">", filter.after);
  const rows = await query
    .orderBy("id")
    .limit(filter.limit + 1)
    .execute();
  return rows.map(credentialOf);
}

export const credentialFields = {
  name: { column: "name", rule: orNull(line(200)) },
  rateLimits: { column: "rate_limits", rule: orNull(rateLimits) },
  transactional: { column: "transactional", rule: flag },
} as const;

export const limitColumns = (limits: RateLimits | null) => ({
  rate_limits: limits === null ? null : JSON.stringify(limits),
});

/** As the audit log keeps it. */
export function credentialMembers(credential: Credential): Record<string, unknown> {
  const { username, name, previousUntil, rateLimits, transactional } = credential;
  return { username, name, previous_until: previousUntil, rate_limits: rateLimits, transactional };
}

export async function lockCredential(trx: Db, principal: Principal, id: CredentialId) {
  const row = await selectCredentials(trx, principal).where("id", "=", id).forUpdate().executeTakeFirst();
  if (row === undefined) throw notFound("credential");
  return row;
}

function selectCredentials(db: Db, principal: Principal) {
  const { masterId, subaccountId } = reachOf(principal);
  let query = db.selectFrom("credential").selectAll();
  if (masterId !== null) query = query.where("master_id", "=", masterId);
  if (subaccountId !== null) query = query.where("subaccount_id", "=", subaccountId);
  return query;
}

export function credentialOf(row: Selectable<Schema["credential"]>): Credential {
  return {
    id: row.id,
    subaccountId: row.subaccount_id,
    masterId: row.master_id,
    username: row.username,
    name: row.name,
    sandbox: row.sandbox,
    createdAt: row.created_at,
    rotatedAt: row.rotated_at,
    previousUntil: row.previous_until,
    revokedAt: row.revoked_at,
    lastUsedAt: row.last_used_at,
    rateLimits: row.rate_limits,
    transactional: row.transactional,
  };
}

async function note(trx: Db, principal: Principal, action: string, credential: Credential, clock: Clock) {
  const members = credentialMembers(credential);
  const [before, after] = action === "credential.revoked" ? [members, null] : [null, members];
  const { masterId, subaccountId } = credential;
  const target = formatId("cred", credential.id);
  await record(trx, { principal, action, target, before, after, masterId, subaccountId }, clock);
}
