/**
 * From an e-mail address, a password and, where one is set up, a code to a session.
 *
 * Invariant: unknown addresses, wrong passwords and people without a place cost the same work and are answered alike. Five
 * failures, of passwords and codes together, lock the address for this client network for five minutes, for the right
 * password too; another network is not concerned.
 * On failure of the database: throws; nobody is let in.
 */
import { sql } from "kysely";
import type { Lockout } from "../accounts/lockout.ts";
import { record } from "../audit/record.ts";
import type { Clock } from "../platform/clock.ts";
import type { Db } from "../platform/database.ts";
import { formatId, type MemberId, type PersonId } from "../platform/ids.ts";
import type { Keyring } from "../platform/secrets.ts";
import { inTransaction } from "../platform/transaction.ts";
import type { Passwords } from "./passwords.ts";
import { memberPrincipal, type Place, placesOf } from "./person.ts";
import { takeCode } from "./second-factor.ts";
import { startSession } from "./sessions.ts";

export type LogInDeps = Readonly<{ db: Db; keyring: Keyring; clock: Clock; passwords: Passwords; lockout: Lockout }>;

export type LogInInput = Readonly<{
  email: string;
  /** Or the `proof` of a first step, whose password was right. */
  password?: string | undefined;
  proof?: string | undefined;
  /** Of the authenticator, or a recovery code. */
  code?: string | undefined;
  /** Which of his places; left out: the highest. */
  memberId?: MemberId | undefined;
  clientAddress: string;
  userAgent: string;
}>;

export type LogInAnswer =
  | Readonly<{ kind: "in"; token: string; place: Place }>
  /** The password was right. `proof` stands for it for five minutes. */
  | Readonly<{ kind: "second-factor"; proof: string }>
  | Readonly<{ kind: "denied" }>
  | Readonly<{ kind: "locked" }>;

const PROOF_MS = 5 * 60_000;
const LOCKED = { kind: "locked" } as const;

export async function logIn(deps: LogInDeps, input: LogInInput): Promise<LogInAnswer> {
  const { db, keyring, clock, passwords, lockout } = deps;
  const key = lockout.key(`log-in ${input.email}`, input.clientAddress);
  if (await lockout.locked(key)) return LOCKED;
  const person = await readPerson(db, input.email);
  const proven = person !== undefined && provesPassword(input.proof, person, deps);
  const right = proven || (await passwords.matches(input.password ?? "", person?.password_hash ?? null));
  const places = person === undefined ? [] : await placesOf(db, person.id);
  const place = places.find(({ memberId }) => memberId === (input.memberId ?? memberId));
  const fail = async () => {
    const [first] = places;
    const { email: name, clientAddress } = input;
    const locked = await lockout.failed(key, first && { ...first, name, clientAddress });
    return locked ? LOCKED : ({ kind: "denied" } as const);
  };
  if (person === undefined || !right || place === undefined) return fail();
  if (await lockout.locked(key)) return LOCKED; // meanwhile
  if (person.totp_confirmed_at !== null) {
    if (input.code === undefined || input.code === "") return { kind: "second-factor", proof: proofOf(person, deps) };
    if (!(await takeCode(db, person.id, input.code, keyring, clock))) return fail();
  }
  await lockout.succeeded(key);
  return { kind: "in", token: await enter(deps, place, input), place };
}

async function readPerson(db: Db, email: string) {
  return db
    .selectFrom("person")
    .select(["id", "password_hash", "totp_confirmed_at"])
    .where(sql`lower(email)`, "=", email.includes("\0") ? "" : email.toLowerCase())
    .executeTakeFirst();
}

type Proven = Readonly<{ id: PersonId; password_hash: string | null }>;
type ProofDeps = Pick<LogInDeps, "keyring" | "clock">;

/** Encrypted, for this person and this password. */
function proofOf({ id, password_hash: hash }: Proven, { keyring, clock }: ProofDeps): string {
  const until = clock.now().getTime() + PROOF_MS;
  return keyring.encrypt(Buffer.from(`${until} ${hash}`), `log-in:${id}`).toString("base64url");
}

function provesPassword(proof: string | undefined, person: Proven, { keyring, clock }: ProofDeps): boolean {
  if (proof === undefined) return false;
  try {
    const text = keyring.decrypt(Buffer.from(proof, "base64url"), `log-in:${person.id}`).toString();
    const [until, hash] = text.split(" ");
    return Number(until) > clock.now().getTime() && hash === person.password_hash;
  } catch {
    return false;
  }
}

async function enter({ db, keyring, clock }: LogInDeps, place: Place, input: LogInInput): Promise<string> {
  const { clientAddress, userAgent } = input;
  return inTransaction(db, async (trx) => {
    const { id, token } = await startSession(trx, { ...place, clientAddress, userAgent }, keyring, clock);
    await noteSession(trx, place, "session.started", formatId("ses", id), clock);
    return token;
  });
}

/** Another place of the same person, in a new session. Undefined: it is none of his. */
export async function switchPlace(
  deps: Pick<LogInDeps, "db" | "keyring" | "clock">,
  personId: PersonId,
  memberId: MemberId,
  client: Pick<LogInInput, "clientAddress" | "userAgent">,
): Promise<string | undefined> {
  const { db, keyring, clock } = deps;
  const place = (await placesOf(db, personId)).find((other) => other.memberId === memberId);
  if (place === undefined) return undefined;
  return inTransaction(db, async (trx) => {
    const { id, token } = await startSession(trx, { ...place, ...client }, keyring, clock);
    await noteSession(trx, place, "session.started", formatId("ses", id), clock);
    return token;
  });
}

export async function noteSession(trx: Db, place: Place, action: string, target: string, clock: Clock): Promise<void> {
  const { masterId, subaccountId } = place;
  const principal = memberPrincipal(place);
  await record(trx, { principal, action, target, before: null, after: null, masterId, subaccountId }, clock);
}
