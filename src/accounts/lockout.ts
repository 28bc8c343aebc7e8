/**
 * After five failed logins of one user name from one client network nobody logs in from there under that name for five
 * minutes, with the right password neither. Other networks are not concerned.
 *
 * Invariant: failures are counted in Postgres, for all processes, and a success forgets them, whichever process counted
 * them. A lock, and that there are failures to forget, is known to each process without asking while changes are heard.
 * A lock costs memory and no statement; a failure costs one, and a success one only after failures.
 * On failure of the database: throws; nobody is let in on a guess.
 */
import { isIPv4, isIPv6 } from "node:net";
import { sql } from "kysely";
import type { Clock } from "../platform/clock.ts";
import type { Db } from "../platform/database.ts";
import type { MasterId, SubaccountId } from "../platform/ids.ts";
import type { Log } from "../platform/log.ts";
import type { Keyring } from "../platform/secrets.ts";
import type { AccountChanges } from "./changes.ts";

export type Lockout = Readonly<{
  /** Names one user name at one client network. */
  key(username: string, clientAddress: string): string;
  locked(key: string): Promise<boolean>;
  /** Counts a failure. True when it is locked now; whoever looks after the account, where there is one, is told once. */
  failed(key: string, account?: Locked): Promise<boolean>;
  /** Forgets the failures before it. */
  succeeded(key: string): Promise<void>;
}>;

/** Whose log-in it is, and from where it was tried. */
export type Locked = Readonly<{
  masterId: MasterId | null;
  subaccountId: SubaccountId | null;
  name: string;
  clientAddress: string;
}>;

const MAX_LOCKS = 50_000;
const MAX_FAILURES = 10_000;
const MAX_ROWS = MAX_LOCKS + MAX_FAILURES;

type LockoutOptions = Readonly<{ db: Db; keyring: Keyring; clock: Clock; changes: AccountChanges; log: Log }>;

export function createLockout({ db, keyring, clock, changes, log }: LockoutOptions): Lockout {
  const locks = new Map<string, number>();
  const failures = new Set<string>();
  /** The locks in memory are all there are. */
  let complete = false;
  /** So are the failures. */
  let allFailures = false;

  const remember = (key: string, until: number) => {
    if (locks.size >= MAX_LOCKS) for (const [old, end] of locks) if (end <= clock.now().getTime()) locks.delete(old);
    if (locks.size < MAX_LOCKS) locks.set(key, until);
    else complete = false;
  };
  const noteFailure = (key: string) => {
    if (failures.size < MAX_FAILURES) failures.add(key);
    else allFailures = false;
  };
  let gaps = 0;
  const reload = async () => {
    const mine = ++gaps;
    locks.clear();
    failures.clear();
    complete = false;
    allFailures = false;
    if (!changes.heard()) return;
    const rows = await readRows(db);
    if (mine !== gaps) return;
    complete = rows.length < MAX_ROWS;
    allFailures = complete;
    for (const { key, locked_until: until } of rows) {
      if (until === null) noteFailure(key.toString("hex"));
      else remember(key.toString("hex"), until.getTime());
    }
  };
  const reloadSoon = () =>
    queueMicrotask(() => void reload().catch((error) => log.warn({ event: "accounts.locks_unread", err: error })));
  changes.subscribe((change) => {
    if (change.kind === "lockout") remember(change.key, change.until);
    else if (change.kind === "failure") noteFailure(change.key);
    else if (change.kind === "unlock") locks.delete(change.key);
    else if (change.kind === "everything") reloadSoon();
  });
  reloadSoon();

  return {
    key: (username, clientAddress) =>
      keyring
        .hash(`lockout ${networkOf(clientAddress)} ${username.toLowerCase()}`)
        .subarray(0, 16)
        .toString("hex"),
    async locked(key) {
      const now = clock.now().getTime();
      if ((locks.get(key) ?? 0) > now) return true;
      if (complete && changes.heard()) return false;
      const { rows } = await sql`select from lockout where key = ${bytes(key)} and locked_until > pm_now()`.execute(db);
      return rows.length > 0;
    },
    async failed(key, account) {
      noteFailure(key);
      const network = account === undefined ? null : networkOf(account.clientAddress);
      const { rows } = await sql<{ until: Date | null }>`
        select auth_failed(${bytes(key)}, ${account?.masterId ?? null}::uuid, ${account?.subaccountId ?? null}::uuid,
                           ${account?.name ?? null}::text, ${network}::text) as until`.execute(db);
      const until = rows[0]?.until ?? null;
      if (until !== null) remember(key, until.getTime());
      return until !== null;
    },
    async succeeded(key) {
      if (failures.delete(key) || !allFailures || !changes.heard())
        await sql`delete from lockout where key = ${bytes(key)} and locked_until is null`.execute(db);
    },
  };
}

/** All that still count. */
async function readRows(db: Db): Promise<{ key: Buffer; locked_until: Date | null }[]> {
  const { rows } = await sql<{ key: Buffer; locked_until: Date | null }>`
    select key, locked_until from lockout where expires_at > pm_now() limit ${sql.lit(MAX_ROWS)}`.execute(db);
  return rows;
}

const bytes = (key: string) => Buffer.from(key, "hex");

/** An IPv4 address itself (also as ::ffff:a.b.c.d), the /64 of an IPv6 address; anything else as it is. */
export function networkOf(address: string): string {
  const plain = address.replace(/%.*$/, "").toLowerCase();
  const mapped = /^(?:0*:)*(?::?:)?ffff:(\d+\.\d+\.\d+\.\d+)$/.exec(plain)?.[1];
  if (mapped !== undefined && isIPv4(mapped)) return mapped;
  if (!isIPv6(plain)) return plain;
  const hex = plain.replace(/(\d+)\.(\d+)\.(\d+)\.(\d+)$/, (_, ...octets) => {
    const [a = 0, b = 0, c = 0, d = 0] = octets.slice(0, 4).map(Number);
    return `${((a << 8) | b).toString(16)}:${((c << 8) | d).toString(16)}`;
  });
  const [head = "", tail] = hex.split("::");
  const left = head.split(":").filter((group) => group !== "");
  const right = (tail ?? "").split(":").filter((group) => group !== "");
  const groups = [...left, ...Array<string>(Math.max(0, 8 - left.length - right.length)).fill("0"), ...right];
  return `${groups
    .slice(0, 4)
    .map((group) => Number.parseInt(group, 16).toString(16))
    .join(":")}::/64`;
}
