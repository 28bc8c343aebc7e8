/**
 * Sessions: what a cookie stands for.
 *
 * Invariant: a token is 160 random bits, stored as a keyed hash. What it may do is read anew for each request: a changed role,
 * a removed member, a suspended account count at once; a closed account's sessions have ended with the close. A session ends an
 * hour after its last use and twelve hours after its start; one that acts for another's account after 15 minutes.
 */
import { type Selectable, sql } from "kysely";
import { networkOf } from "../accounts/lockout.ts";
import type { Frozen, MasterPrincipal, Principal, Scope } from "../accounts/principal.ts";
import { type ShownState, type StateFacts, shownState } from "../accounts/states.ts";
import type { Clock } from "../platform/clock.ts";
import type { Db } from "../platform/database.ts";
import {
  type KeyId,
  type MasterId,
  type MemberId,
  newId,
  type PersonId,
  parseId,
  type SessionId,
  type SubaccountId,
} from "../platform/ids.ts";
import type { Schema } from "../platform/schema.ts";
import type { Acting } from "../platform/schema-people.ts";
import type { Keyring } from "../platform/secrets.ts";
import { type Role, scopesOf } from "./roles.ts";

export const IDLE_MS = 3_600_000;
export const ABSOLUTE_MS = 12 * 3_600_000;
export const ACTING_MS = 15 * 60_000;
const SEEN_EVERY_MS = 60_000;

export type Session = Readonly<{
  id: SessionId;
  /** Goes into each form and into X-CSRF-Token. */
  csrf: string;
  /** Null: somebody acts for the account. */
  person: Readonly<{
    id: PersonId;
    email: string;
    name: string | null;
    language: string | null;
    timeZone: string | null;
    secondFactor: boolean;
  }> | null;
  memberId: MemberId | null;
  role: Role | null;
  masterId: MasterId | null;
  subaccountId: SubaccountId | null;
  /** As its master calls it; for who acts for it, and not for its own people. */
  accountName: string | null;
  /** Null: the operator's own. */
  state: ShownState | null;
  /** What has to be done before anything else. */
  must: "change-password" | "set-up-second-factor" | null;
  acting: Acting | null;
  expiresAt: Date;
  /** Undefined while something must be done first, and for a closed account. */
  principal: Principal | undefined;
}>;

export type NewSession = Readonly<{
  personId: PersonId | null;
  memberId: MemberId | null;
  masterId: MasterId | null;
  subaccountId: SubaccountId | null;
  acting?: Acting;
  clientAddress: string;
  userAgent: string;
}>;

export async function startSession(
  trx: Db,
  session: NewSession,
  keyring: Keyring,
  clock: Clock,
): Promise<Readonly<{ id: SessionId; token: string }>> {
  const token = keyring.newSecret();
  const id = newId<SessionId>(clock);
  const now = clock.now();
  const lifetimeMs = session.acting === undefined ? ABSOLUTE_MS : ACTING_MS;
  await trx
    .insertInto("session")
    .values({
      id,
      token_hash: hashOf(token, keyring),
      person_id: session.personId,
      member_id: session.memberId,
      master_id: session.masterId,
      subaccount_id: session.subaccountId,
      acting: session.acting === undefined ? null : JSON.stringify(session.acting),
      network: networkOf(session.clientAddress),
      user_agent: session.userAgent.replace(/[^ -~]/g, "").slice(0, 200),
      created_at: now,
      seen_at: now,
      expires_at: new Date(now.getTime() + lifetimeMs),
    })
    .execute();
  return { id, token };
}

/** A new token for the same session, after its rights have grown; the old one is worth nothing. */
export async function rotateSession(trx: Db, id: SessionId, keyring: Keyring): Promise<string> {
  const token = keyring.newSecret();
  await trx
    .updateTable("session")
    .set({ token_hash: hashOf(token, keyring) })
    .where("id", "=", id)
    .execute();
  return token;
}

/** Undefined: unknown, ended, or its member is gone. */
export async function findSession(db: Db, token: string, keyring: Keyring, clock: Clock): Promise<Session | undefined> {
  if (!/^[a-z2-7]{32}$/.test(token)) return undefined;
  const row = await selectSession(db, hashOf(token, keyring), clock);
  if (row === undefined || (row.acting === null && row.role === null)) return undefined;
  if (clock.now().getTime() - row.seen_at.getTime() > SEEN_EVERY_MS) {
    await db.updateTable("session").set({ seen_at: clock.now() }).where("id", "=", row.id).execute();
  }
  return sessionOf(row, csrfOf(token, keyring), clock.now());
}

export async function endSession(db: Db, id: SessionId, clock: Clock): Promise<void> {
  await db
    .updateTable("session")
    .set({ ended_at: clock.now() })
    .where("id", "=", id)
    .where("ended_at", "is", null)
    .execute();
}

/** All of a person's, or of one of his places; `but`: the one in which it was asked. */
export async function endSessions(
  trx: Db,
  of: Readonly<{ personId?: PersonId; memberId?: MemberId; but?: SessionId | undefined }>,
  clock: Clock,
): Promise<void> {
  let query = trx.updateTable("session").set({ ended_at: clock.now() }).where("ended_at", "is", null);
  if (of.personId !== undefined) query = query.where("person_id", "=", of.personId);
  if (of.memberId !== undefined) query = query.where("member_id", "=", of.memberId);
  if (of.but !== undefined) query = query.where("id", "<>", of.but);
  await query.execute();
}

export async function forgetSessions(db: Db, clock: Clock): Promise<void> {
  const before = new Date(clock.now().getTime() - 30 * 86_400_000);
  await db.deleteFrom("session").where("expires_at", "<", before).execute();
}

const hashOf = (token: string, keyring: Pick<Keyring, "hash">) => keyring.hash(`session ${token}`);

/** Of the session's token: who has the cookie's session has it, and no other site can guess it. */
function csrfOf(token: string, keyring: Pick<Keyring, "hash">): string {
  return keyring.hash(`csrf ${token}`).toString("hex").slice(0, 32);
}

function selectSession(db: Db, hash: Buffer, clock: Clock) {
  const now = clock.now();
  return db
    .selectFrom("session as x")
    .leftJoin("member as b", (join) => join.onRef("b.id", "=", "x.member_id").on("b.removed_at", "is", null))
    .leftJoin("person as p", "p.id", "x.person_id")
    .leftJoin("subaccount as s", "s.id", "x.subaccount_id")
    .leftJoin("master as m", "m.id", "x.master_id")
    .selectAll("x")
    .select(["b.role", "p.email", "p.name", "p.language", "p.time_zone", "p.password_temporary"])
    .select(["s.name as s_name", "m.name as m_name"])
    .select(["p.totp_confirmed_at", "m.enforce_2fa as m_enforce", "s.enforce_2fa as s_enforce"])
    .select(["m.state as m_state", "m.suspended_at as m_suspended_at", "m.expires_at as m_expires_at"])
    .select(["s.state as s_state", "s.suspended_at as s_suspended_at", "s.expires_at as s_expires_at"])
    .where("x.token_hash", "=", hash)
    .where("x.ended_at", "is", null)
    .where("x.expires_at", ">", now)
    .where((eb) => eb.or([eb("x.acting", "is not", null), eb("x.seen_at", ">", new Date(now.getTime() - IDLE_MS))]))
    .where(sql<boolean>`(s.id is null or s.master_id = x.master_id)`)
    .executeTakeFirst();
}

type Row = NonNullable<Awaited<ReturnType<typeof selectSession>>>;

function sessionOf(row: Row, csrf: string, now: Date): Session {
  const state = stateOf(row, now);
  const must = mustOf(row);
  const open = must === null && state !== "closed" && state !== "archived";
  return {
    id: row.id,
    csrf,
    person: personOf(row),
    memberId: row.member_id,
    role: row.role,
    masterId: row.master_id,
    subaccountId: row.subaccount_id,
    accountName: row.acting === null ? null : (row.s_name ?? row.m_name),
    state,
    must,
    acting: row.acting,
    expiresAt: row.expires_at,
    principal: open ? principalOf(row, state) : undefined,
  };
}

function personOf(row: Row): Session["person"] {
  if (row.person_id === null || row.email === null) return null;
  const { person_id: id, email, name, language, time_zone: timeZone } = row;
  return { id, email, name, language, timeZone, secondFactor: row.totp_confirmed_at !== null };
}

function stateOf(row: Row, now: Date): ShownState | null {
  if (row.m_state === null) return null;
  const facts: StateFacts[] = [{ state: row.m_state, suspendedAt: row.m_suspended_at, expiresAt: row.m_expires_at }];
  if (row.s_state !== null) {
    facts.push({ state: row.s_state, suspendedAt: row.s_suspended_at, expiresAt: row.s_expires_at });
  }
  return shownState(now, ...facts);
}

/** Nothing is asked of those who act for an account: they were asked where they came from. */
function mustOf(row: Row): Session["must"] {
  if (row.acting !== null) return null;
  if (row.password_temporary) return "change-password";
  const enforced = row.subaccount_id === null ? row.m_enforce : row.s_enforce;
  return enforced && row.totp_confirmed_at === null ? "set-up-second-factor" : null;
}

function principalOf(row: Row, state: ShownState | null): Principal {
  const { master_id: masterId, subaccount_id: subaccountId, acting } = row;
  if (acting !== null) return actingPrincipal(row, acting, state);
  const memberId = row.member_id as MemberId;
  const scopes = scopesOf[row.role as Role];
  if (masterId === null) return { kind: "operator", via: "person", memberId, scopes };
  const frozen = frozenBy(state);
  if (subaccountId === null) return { kind: "master", masterId, keyId: null, memberId, scopes, ...frozen };
  const own = scopes.filter((scope) => scope !== "billing");
  return { kind: "subaccount", masterId, subaccountId, keyId: null, memberId, scopes: own, ...frozen };
}

/** Who acts for a master is the operator; who acts for a subaccount he, or its master. */
function actingPrincipal(row: Row, acting: Acting, state: ShownState | null): Principal {
  const masterId = row.master_id as MasterId;
  const scopes: readonly Scope[] = acting.read_only ? ["read"] : ["full"];
  const keyId: KeyId | null = parseId("key", acting.key_id ?? "") ?? null;
  const member = parseId("mem", acting.member_id ?? "");
  const memberId = member === undefined ? {} : { memberId: member };
  const operator = acting.by === "operator" ? { operator: true as const } : {};
  const { subaccount_id: subaccountId } = row;
  if (subaccountId === null) return { kind: "master", masterId, keyId: null, scopes, ...memberId, ...operator };
  if (acting.by === "operator") {
    return { kind: "subaccount", masterId, subaccountId, keyId: null, scopes, ...memberId, ...operator };
  }
  const by: MasterPrincipal = { kind: "master", masterId, keyId, scopes, ...memberId };
  return { kind: "subaccount", masterId, subaccountId, keyId, scopes, by, ...frozenBy(state) };
}

function frozenBy(state: ShownState | null): { frozen?: Frozen } {
  return state === null || state === "active" ? {} : { frozen: state as Frozen };
}

export type SessionRow = Selectable<Schema["session"]>;

/** Of a person, newest first: where he is logged in. */
export async function listSessions(db: Db, personId: PersonId, clock: Clock): Promise<SessionRow[]> {
  return db
    .selectFrom("session")
    .selectAll()
    .where("person_id", "=", personId)
    .where("ended_at", "is", null)
    .where("expires_at", ">", clock.now())
    .where("seen_at", ">", new Date(clock.now().getTime() - IDLE_MS))
    .orderBy("id", "desc")
    .limit(100)
    .execute();
}
