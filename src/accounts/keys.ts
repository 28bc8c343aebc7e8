/**
 * API keys: `pm_live_<160 random bits>`, shown once, stored as a keyed hash.
 *
 * Invariant: a revoked key opens nothing, on any node, from the moment its revocation is known there (accounts/changes.ts).
 */
import type { Selectable } from "kysely";
import { record } from "../audit/record.ts";
import type { Clock } from "../platform/clock.ts";
import type { Db } from "../platform/database.ts";
import { Fault, type FaultDetail, notFound } from "../platform/errors.ts";
import { formatId, type KeyId, type MasterId, newId, type SubaccountId } from "../platform/ids.ts";
import type { Schema } from "../platform/schema.ts";
import type { Keyring } from "../platform/secrets.ts";
import { inTransaction } from "../platform/transaction.ts";
import { line, network } from "./fields.ts";
import { findMaster, findSubaccount, type SubaccountRef } from "./find.ts";
import { requireDevelop } from "./permit.ts";
import { type Principal, reachOf, type Scope, scopes, scopesOf } from "./principal.ts";

export type ApiKey = Readonly<{
  id: KeyId;
  masterId: MasterId;
  /** Null: it acts for the master. */
  subaccountId: SubaccountId | null;
  name: string;
  /** The last four characters, to tell keys apart. */
  hint: string;
  scopes: readonly Scope[];
  /** CIDR; empty: from anywhere. */
  networks: readonly string[];
  expiresAt: Date | null;
  /** The key that a roll-over has put in its place. */
  replacedBy: KeyId | null;
  createdAt: Date;
  revokedAt: Date | null;
  lastUsedAt: Date | null;
}>;

/** `key` is shown once and never again. */
export type NewApiKey = Readonly<{ apiKey: ApiKey; key: string }>;

export type KeyInput = Readonly<{
  name: string;
  scopes: readonly Scope[];
  networks?: readonly string[] | undefined;
  expiresAt?: Date | null | undefined;
  /** A key for this subaccount; a subaccount's own keys are always for itself. */
  subaccount?: SubaccountRef | undefined;
  /** The operator's choice when the key is a master's. */
  masterId?: MasterId | undefined;
}>;

/** @throws Fault invalid, forbidden, not-found, conflict when the account is closed */
export async function createKey(
  db: Db,
  principal: Principal,
  input: KeyInput,
  keyring: Keyring,
  clock: Clock,
): Promise<NewApiKey> {
  requireGrant(principal, input.scopes);
  const ref = principal.kind === "subaccount" ? (input.subaccount ?? principal.subaccountId) : input.subaccount;
  checkInput(input, ref !== undefined);
  return inTransaction(db, async (trx) => {
    const account =
      ref === undefined
        ? await findMaster(trx, principal, input.masterId, clock, "keep")
        : await findSubaccount(trx, principal, ref, clock, "keep");
    if (account.ownState === "closed" || account.ownState === "archived") {
      throw new Fault("conflict", `The account is ${account.ownState}; reopen it first.`);
    }
    const owner =
      "masterId" in account
        ? { masterId: account.masterId, subaccountId: account.id, sandbox: account.sandbox }
        : { masterId: account.id, subaccountId: null };
    const created = await insertKey(trx, { ...input, ...owner }, keyring, clock);
    await note(trx, principal, "key.created", created.apiKey, clock);
    return created;
  });
}

/** Nobody makes a key that may do more than he. @throws Fault forbidden */
function requireGrant(principal: Principal, wanted: readonly Scope[]): void {
  requireDevelop(principal);
  const own = scopesOf(principal);
  if (own.includes("full") || wanted.every((scope) => own.includes(scope))) return;
  throw new Fault("forbidden", `A key can have no more than your own rights: ${own.join(", ")}.`);
}

function checkInput(input: KeyInput, forSubaccount: boolean): void {
  const mistakes: FaultDetail[] = [];
  const name = line(200)(input.name);
  if (name !== undefined) mistakes.push({ pointer: "/name", detail: name });
  const known = input.scopes.length > 0 && input.scopes.every((scope) => scopes.includes(scope));
  if (!known || new Set(input.scopes).size !== input.scopes.length) {
    mistakes.push({ pointer: "/scopes", detail: `Scopes are one or more of: ${scopes.join(", ")}.` });
  } else if (forSubaccount && input.scopes.includes("billing")) {
    mistakes.push({ pointer: "/scopes", detail: "Billing is the master's: a subaccount's key can't have that scope." });
  }
  const wrongNetwork = (input.networks ?? []).find((entry) => network(entry) !== undefined);
  if (wrongNetwork !== undefined)
    mistakes.push({ pointer: "/networks", detail: `${wrongNetwork}: ${network(wrongNetwork)}` });
  const [first] = mistakes;
  if (first !== undefined) throw new Fault("invalid", `${first.pointer.slice(1)}: ${first.detail}`, mistakes);
}

type KeyOwner = Readonly<{
  masterId: MasterId;
  subaccountId: SubaccountId | null;
  name: string;
  scopes: readonly Scope[];
  networks?: readonly string[] | undefined;
  expiresAt?: Date | null | undefined;
  sandbox?: boolean;
}>;

/** Without questions, for verbs that have asked them. */
export async function insertKey(trx: Db, owner: KeyOwner, keyring: Keyring, clock: Clock): Promise<NewApiKey> {
  const key = `pm_${owner.sandbox ? "test" : "live"}_${keyring.newSecret()}`;
  const row = await trx
    .insertInto("api_key")
    .values({
      id: newId<KeyId>(clock),
      master_id: owner.masterId,
      subaccount_id: owner.subaccountId,
      name: owner.name,
      key_hash: keyring.hash(key),
      hint: key.slice(-4),
      scopes: [...owner.scopes],
      networks: [...(owner.networks ?? [])],
      expires_at: owner.expiresAt ?? null,
      created_at: clock.now(),
    })
    .returningAll()
    .executeTakeFirstOrThrow();
  return { apiKey: keyOf(row), key };
}

/**
 * Roll-over: a new key with the same rights; the old one works for `overlapSeconds` more.
 * @throws Fault not-found, forbidden, conflict when it is revoked or was replaced before
 */
export async function rotateKey(
  db: Db,
  principal: Principal,
  id: KeyId,
  overlapSeconds: number,
  keyring: Keyring,
  clock: Clock,
): Promise<NewApiKey> {
  requireDevelop(principal);
  return inTransaction(db, async (trx) => {
    const row = await selectKeys(trx, principal).where("id", "=", id).forUpdate().executeTakeFirst();
    if (row === undefined) throw notFound("key");
    requireGrant(principal, row.scopes as Scope[]);
    if (row.revoked_at !== null) throw new Fault("conflict", "The key is revoked: create a new one.");
    if (row.replaced_by !== null) throw new Fault("conflict", "The key was replaced already: rotate its successor.");
    const old = keyOf(row);
    const created = await insertKey(trx, { ...old, expiresAt: null }, keyring, clock);
    const end = new Date(clock.now().getTime() + overlapSeconds * 1000);
    const expiresAt = row.expires_at !== null && row.expires_at < end ? row.expires_at : end;
    await trx
      .updateTable("api_key")
      .set({ replaced_by: created.apiKey.id, expires_at: expiresAt })
      .where("id", "=", id)
      .execute();
    await note(trx, principal, "key.created", created.apiKey, clock);
    await note(trx, principal, "key.rotated", { ...old, expiresAt }, clock);
    return created;
  });
}

/** Revoking a revoked one changes nothing. @throws Fault not-found */
export async function revokeKey(db: Db, principal: Principal, id: KeyId, clock: Clock): Promise<ApiKey> {
  requireDevelop(principal);
  return inTransaction(db, async (trx) => {
    const row = await selectKeys(trx, principal).where("id", "=", id).forUpdate().executeTakeFirst();
    if (row === undefined) throw notFound("key");
    requireGrant(principal, row.scopes as Scope[]);
    if (row.revoked_at !== null) return keyOf(row);
    const revoked = { ...row, revoked_at: clock.now() };
    await trx.updateTable("api_key").set({ revoked_at: revoked.revoked_at }).where("id", "=", id).execute();
    await note(trx, principal, "key.revoked", keyOf(revoked), clock);
    return keyOf(revoked);
  });
}

/** @throws Fault not-found */
export async function findKey(db: Db, principal: Principal, id: KeyId): Promise<ApiKey> {
  const row = await selectKeys(db, principal).where("id", "=", id).executeTakeFirst();
  if (row === undefined) throw notFound("key");
  return keyOf(row);
}

export type KeyFilter = Readonly<{
  subaccountId?: SubaccountId | undefined;
  after?: KeyId | undefined;
  /** One more row is given back when there are more. */
  limit: number;
}>;

/** Those that are not revoked, oldest first; `limit + 1` rows, the last tells that there is more. */
export async function listKeys(db: Db, principal: Principal, filter: KeyFilter): Promise<ApiKey[]> {
  let query = selectKeys(db, principal).where("revoked_at", "is", null);
  if (filter.subaccountId !== undefined) query = query.where("subaccount_id", "=", filter.subaccountId);
  if (filter.after !== undefined) query = query.where("id", ">", filter.after);
  const rows = await query
    .orderBy("id")
    .limit(filter.limit + 1)
    .execute();
  return rows.map(keyOf);
}

function selectKeys(db: Db, principal: Principal) {
  const { masterId, subaccountId } = reachOf(principal);
  let query = db.selectFrom("api_key").selectAll();
  if (masterId !== null) query = query.where("master_id", "=", masterId);
  if (subaccountId !== null) query = query.where("subaccount_id", "=", subaccountId);
  return query;
}

function keyOf(row: Selectable<Schema["api_key"]>): ApiKey {
  return {
    id: row.id,
    masterId: row.master_id,
    subaccountId: row.subaccount_id,
    name: row.name,
    hint: row.hint,
    scopes: row.scopes as Scope[],
    networks: row.networks,
    expiresAt: row.expires_at,
    replacedBy: row.replaced_by,
    createdAt: row.created_at,
    revokedAt: row.revoked_at,
    lastUsedAt: row.last_used_at,
  };
}

async function note(trx: Db, principal: Principal, action: string, key: ApiKey, clock: Clock): Promise<void> {
  const members = { name: key.name, scopes: key.scopes, networks: key.networks, hint: key.hint };
  const ends = { ...members, expires_at: key.expiresAt };
  const [before, after] = action === "key.revoked" ? [members, null] : [null, ends];
  const { masterId, subaccountId } = key;
  await record(
    trx,
    { principal, action, target: formatId("key", key.id), before, after, masterId, subaccountId },
    clock,
  );
}
