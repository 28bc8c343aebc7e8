/**
 * From a user name and password, or an API key, to a principal.
 *
 * Invariant: what is known from memory is a few seconds old at most and was dropped when its account, credential or key
 * changed. A wrong password of a known user name and an unknown one do the same work: one read, one comparison, one
 * counted failure. Who has to be looked up in the database waits behind others of the same client network alone: a crowd that
 * guesses takes GUESSING connections of the pool, and not all.
 * On failure of the database: throws; nobody is let in, and nothing counts as a wrong password.
 */
import type { BlockList } from "node:net";
import { sql } from "kysely";
import { networks as networksOf, within } from "../platform/client-address.ts";
import type { Clock } from "../platform/clock.ts";
import type { Db } from "../platform/database.ts";
import type { CredentialId, KeyId, MasterId, SubaccountId } from "../platform/ids.ts";
import type { Log } from "../platform/log.ts";
import { type Keyring, sameBytes } from "../platform/secrets.ts";
import type { AccountChanges, Change } from "./changes.ts";
import { createLanes } from "./lanes.ts";
import { createLockout, type Locked, type Lockout, networkOf } from "./lockout.ts";
import type { Frozen, Principal, Scope, SubaccountPrincipal } from "./principal.ts";
import { createRecent, type Recent, type Soon, whenKnown } from "./recent.ts";
import { createSendingAccounts, type Inactive, type SendingAccount } from "./sending.ts";
import { type StateFacts, shownState } from "./states.ts";

export type { Inactive, SendingAccount } from "./sending.ts";

export type SmtpAnswer =
  | SendingAccount
  | Inactive
  /** `locked`: this was the last try; the connection may be closed. */
  | Readonly<{ kind: "denied"; locked: boolean }>
  | Readonly<{ kind: "locked" }>;

export type Authenticator = Readonly<{
  smtp(username: string, password: string, clientAddress: string): Promise<SmtpAnswer>;
  /** For each message of an open session, and for mail by HTTP: the account as it is now. */
  sending(principal: SubaccountPrincipal): Soon<SendingAccount | Inactive | Readonly<{ kind: "revoked" }>>;
  /** An API key. Undefined: unknown, revoked, expired, of a closed account, or not to be used from there. */
  key(token: string, clientAddress: string): Promise<Principal | undefined>;
  /** Shared with the log-in of people. */
  lockout: Lockout;
  /** Drops what this process remembers, before the news of it comes back from Postgres. */
  forget(change: Change): void;
}>;

export type AuthenticatorOptions = Readonly<{
  db: Db;
  keyring: Keyring;
  clock: Clock;
  changes: AccountChanges;
  /** Empty: nobody is the operator. */
  operatorKey: string;
  log: Log;
}>;

const GUESSING = 2;
const REVOKED = { kind: "revoked" } as const;

export function createAuthenticator(options: AuthenticatorOptions): Authenticator {
  const { keyring, clock, changes, operatorKey } = options;
  const lockout = createLockout(options);
  const lanes = createLanes(GUESSING);
  const accounts = createSendingAccounts(options);
  const credentials = recentCredentials(options);
  const keys = recentKeys(options);
  const operatorHash = keyring.hash(operatorKey);

  const enter = async (credential: CredentialFacts, key: string) => {
    const account = await accounts.of(principalOf(credential));
    if (account !== undefined) await lockout.succeeded(key);
    return account;
  };

  /** Memory may be behind: only the database denies. */
  const lookUp = async (username: string, hash: Buffer, key: string, clientAddress: string): Promise<SmtpAnswer> => {
    if (await lockout.locked(key)) return { kind: "locked" }; // meanwhile
    const read = (await credentials.load(username)) ?? nobody;
    const right = opens(read, hash, clock);
    if (right && read.stale) markUsed(options.db, "credential", read.id, options.log);
    const account = right ? await enter(read, key) : undefined;
    return account ?? { kind: "denied", locked: await lockout.failed(key, lockedOf(read, username, clientAddress)) };
  };

  return {
    async smtp(username, password, clientAddress) {
      const key = lockout.key(username, clientAddress);
      if (await lockout.locked(key)) return { kind: "locked" };
      const name = username.toLowerCase();
      const hash = keyring.hash(password);
      const known = credentials.peek(name);
      const account = known !== undefined && opens(known, hash, clock) ? await enter(known, key) : undefined;
      return account ?? lanes.run(networkOf(clientAddress), () => lookUp(name, hash, key, clientAddress));
    },
    sending: (principal) => whenKnown(accounts.of(principal), (account) => account ?? REVOKED),
    async key(token, clientAddress) {
      const hash = keyring.hash(token);
      if (sameBytes(hash, operatorHash) && operatorKey !== "") return { kind: "operator", via: "key" };
      if (!/^pm_(live|test)_[a-z2-7]{32}$/.test(token)) return undefined;
      const row = await keys.get(hash.toString("hex"));
      return row === undefined || !usable(row, clientAddress, clock) ? undefined : keyPrincipal(row, clock);
    },
    lockout,
    forget: changes.tell,
  };
}

type CredentialFacts = Readonly<{
  id: CredentialId;
  subaccount_id: SubaccountId;
  master_id: MasterId;
  secret_hash: Buffer;
  previous_hash: Buffer | null;
  previous_until: Date | null;
  stale: boolean; // its last use was written more than an hour ago
}>;

/** What an unknown user name is compared with: nothing opens it. */
const nobody = {
  secret_hash: Buffer.alloc(32),
  previous_hash: null,
  previous_until: null,
  stale: false,
} as CredentialFacts;

function lockedOf(credential: CredentialFacts, name: string, clientAddress: string): Locked | undefined {
  if (credential === nobody) return undefined;
  return { masterId: credential.master_id, subaccountId: credential.subaccount_id, name, clientAddress };
}

function opens(credential: CredentialFacts, hash: Buffer, clock: Clock): boolean {
  if (sameBytes(hash, credential.secret_hash)) return credential !== nobody;
  const { previous_hash: previous, previous_until: until } = credential;
  return previous !== null && until !== null && clock.now() < until && sameBytes(hash, previous);
}

function principalOf(credential: CredentialFacts): SubaccountPrincipal {
  return {
    kind: "subaccount",
    masterId: credential.master_id,
    subaccountId: credential.subaccount_id,
    keyId: null,
    credentialId: credential.id,
    scopes: ["send"],
  };
}

function recentCredentials({ db, changes }: AuthenticatorOptions): Recent<CredentialFacts> {
  const columns = ["id", "subaccount_id", "master_id", "secret_hash", "previous_hash", "previous_until"] as const;
  return createRecent<CredentialFacts>({
    changes,
    async read(username) {
      return db
        .selectFrom("credential")
        .select(columns)
        .select(usedLongAgo.as("stale"))
        .where("username", "=", /^[!-~]{1,64}$/.test(username) ? username : "-")
        .where("revoked_at", "is", null)
        .executeTakeFirst();
    },
    concerns: (change, { id }) => change.kind === "credential" && change.id === id,
  });
}

type KeyFacts = Readonly<{
  id: KeyId;
  masterId: MasterId;
  subaccountId: SubaccountId | null;
  scopes: readonly Scope[];
  /** Null: from anywhere. */
  networks: BlockList | null;
  expiresAt: Date | null;
  states: readonly StateFacts[];
}>;

function recentKeys({ db, changes, log }: AuthenticatorOptions): Recent<KeyFacts> {
  return createRecent<KeyFacts>({
    changes,
    async read(hash) {
      const row = await selectKey(db, Buffer.from(hash, "hex"));
      if (row === undefined) return undefined;
      if (row.stale) markUsed(db, "api_key", row.id, log);
      const master = { state: row.m_state, suspendedAt: row.m_suspended_at, expiresAt: row.m_expires_at };
      const own = row.s_state && { state: row.s_state, suspendedAt: row.s_suspended_at, expiresAt: row.s_expires_at };
      const { id, master_id: masterId, subaccount_id: subaccountId } = row;
      const networks = row.networks.length === 0 ? null : networksOf(row.networks);
      const limits = { scopes: row.scopes as Scope[], networks, expiresAt: row.key_expires_at };
      return { id, masterId, subaccountId, ...limits, states: own ? [own, master] : [master] };
    },
    concerns: (change, { id, masterId, subaccountId }) =>
      "id" in change && [id, masterId, subaccountId as string].includes(change.id),
  });
}

function selectKey(db: Db, hash: Buffer) {
  return db
    .selectFrom("api_key as k")
    .innerJoin("master as m", "m.id", "k.master_id")
    .leftJoin("subaccount as s", "s.id", "k.subaccount_id")
    .select(["k.id", "k.master_id", "k.subaccount_id", "k.scopes", "k.networks", "k.expires_at as key_expires_at"])
    .select(usedLongAgo.as("stale"))
    .select(["m.state as m_state", "m.suspended_at as m_suspended_at", "m.expires_at as m_expires_at"])
    .select(["s.state as s_state", "s.suspended_at as s_suspended_at", "s.expires_at as s_expires_at"])
    .where("k.key_hash", "=", hash)
    .where("k.revoked_at", "is", null)
    .executeTakeFirst();
}

function usable({ networks, expiresAt }: KeyFacts, clientAddress: string, clock: Clock): boolean {
  if (expiresAt !== null && clock.now() >= expiresAt) return false;
  return networks === null || within(networks, clientAddress);
}

/** A closed account's key opens nothing; of another that may not send, it reads. */
function keyPrincipal(key: KeyFacts, clock: Clock): Principal | undefined {
  const state = shownState(clock.now(), ...key.states);
  if (state === "closed" || state === "archived") return undefined;
  const { id: keyId, masterId, subaccountId, scopes } = key;
  const frozen = state === "active" ? {} : { frozen: state as Frozen };
  return subaccountId === null
    ? { kind: "master", masterId, keyId, scopes, ...frozen }
    : { kind: "subaccount", masterId, subaccountId, keyId, scopes, ...frozen };
}

const usedLongAgo = sql<boolean>`coalesce(last_used_at < pm_now() - interval '1 hour', true)`;

/** Nobody waits for it; when it fails the next use in an hour's time tries again. */
function markUsed(db: Db, table: "credential" | "api_key", id: CredentialId | KeyId, log: Log): void {
  sql`update ${sql.table(table)} set last_used_at = pm_now() where id = ${id}`
    .execute(db)
    .catch((error) => log.debug({ event: "accounts.last_use_unwritten", err: error }));
}
