/**
 * The second factor: codes of an authenticator (TOTP, RFC 6238: SHA-1, six digits, 30 s) and ten recovery codes.
 *
 * Invariant: a code is taken once: the step of the last one is kept, and only later steps count; a recovery code is struck
 * out when used. Taking one is an update that one of two at the same time passes. The secret is encrypted.
 */

import { sql } from "kysely";
import { Secret, TOTP } from "otpauth";
import { renderSVG } from "uqr";
import type { Clock } from "../platform/clock.ts";
import type { Db } from "../platform/database.ts";
import { Fault, invalid } from "../platform/errors.ts";
import { formatId, type PersonId } from "../platform/ids.ts";
import type { Keyring } from "../platform/secrets.ts";

const PERIOD_S = 30;
const CODES = 10;

export type Enrolment = Readonly<{
  /** Base32, to type in. */
  secret: string;
  /** `otpauth://totp/...` */
  uri: string;
  /** The same as a QR code. */
  svg: string;
}>;

/** A new secret that counts once a code of it is confirmed. Replaces one that was not confirmed. @throws Fault conflict */
export async function startEnrolment(
  db: Db,
  person: Readonly<{ id: PersonId; email: string }>,
  issuer: string,
  keyring: Keyring,
): Promise<Enrolment> {
  const secret = new Secret({ size: 20 });
  const { numUpdatedRows } = await db
    .updateTable("person")
    .set({ totp_secret: keyring.encrypt(secret.bytes, contextOf(person.id)), totp_step: null })
    .where("id", "=", person.id)
    .where("totp_confirmed_at", "is", null)
    .executeTakeFirst();
  if (numUpdatedRows === 0n) throw new Fault("conflict", "A second factor is set up already: remove it first.");
  return enrolmentOf(secret, person.email, issuer);
}

/** The one that waits to be confirmed, for a page that is shown again. Undefined: none does. */
export async function openEnrolment(
  db: Db,
  person: Readonly<{ id: PersonId; email: string }>,
  issuer: string,
  keyring: Keyring,
): Promise<Enrolment | undefined> {
  const row = await factorOf(db, person.id);
  if (row.totp_secret === null || row.totp_confirmed_at !== null) return undefined;
  return enrolmentOf(secretOf(row.totp_secret, person.id, keyring), person.email, issuer);
}

function enrolmentOf(secret: Secret, email: string, issuer: string): Enrolment {
  const uri = new TOTP({ issuer, label: email, secret, period: PERIOD_S }).toString();
  return { secret: secret.base32, uri, svg: renderSVG(uri) };
}

/** @returns ten recovery codes, shown once. @throws Fault invalid at /code, conflict */
export async function confirmEnrolment(
  db: Db,
  id: PersonId,
  code: string,
  keyring: Keyring,
  clock: Clock,
): Promise<string[]> {
  const row = await factorOf(db, id);
  if (row.totp_secret === null || row.totp_confirmed_at !== null) {
    throw new Fault("conflict", "No second factor waits to be confirmed.");
  }
  const step = stepOf(code, secretOf(row.totp_secret, id, keyring), clock);
  if (step === undefined) throw invalid("/code", "This is not the code that the authenticator shows now.");
  const codes = Array.from({ length: CODES }, () => showCode(keyring.newSecret()));
  const { numUpdatedRows } = await db
    .updateTable("person")
    .set({
      totp_confirmed_at: clock.now(),
      totp_step: step,
      recovery_hashes: codes.map((text) => hashOf(text, id, keyring)),
    })
    .where("id", "=", id)
    .where("totp_confirmed_at", "is", null)
    .executeTakeFirst();
  if (numUpdatedRows === 0n) throw new Fault("conflict", "No second factor waits to be confirmed.");
  return codes;
}

export async function removeSecondFactor(db: Db, id: PersonId): Promise<void> {
  await db
    .updateTable("person")
    .set({ totp_secret: null, totp_confirmed_at: null, totp_step: null, recovery_hashes: [] })
    .where("id", "=", id)
    .execute();
}

/** A code of the authenticator, or one of the recovery codes. True once for each. */
export async function takeCode(db: Db, id: PersonId, code: string, keyring: Keyring, clock: Clock): Promise<boolean> {
  const plain = code.replace(/[\s-]/g, "").toLowerCase();
  if (/^\d{6}$/.test(plain)) return takeStep(db, id, plain, keyring, clock);
  const hash = hashOf(plain, id, keyring);
  const { numUpdatedRows } = await db
    .updateTable("person")
    .set({ recovery_hashes: sql`array_remove(recovery_hashes, ${hash})` })
    .where("id", "=", id)
    .where("totp_confirmed_at", "is not", null)
    .where(sql<boolean>`${hash} = any(recovery_hashes)`)
    .executeTakeFirst();
  return numUpdatedRows === 1n;
}

async function takeStep(db: Db, id: PersonId, code: string, keyring: Keyring, clock: Clock): Promise<boolean> {
  const row = await factorOf(db, id);
  if (row.totp_secret === null || row.totp_confirmed_at === null) return false;
  const step = stepOf(code, secretOf(row.totp_secret, id, keyring), clock);
  if (step === undefined) return false;
  const { numUpdatedRows } = await db
    .updateTable("person")
    .set({ totp_step: step })
    .where("id", "=", id)
    .where((eb) => eb.or([eb("totp_step", "is", null), eb("totp_step", "<", step)]))
    .executeTakeFirst();
  return numUpdatedRows === 1n;
}

/** One step before and after are good too: clocks differ. */
function stepOf(code: string, secret: Secret, clock: Clock): number | undefined {
  const timestamp = clock.now().getTime();
  const delta = new TOTP({ secret, period: PERIOD_S }).validate({
    token: code.replace(/\s/g, ""),
    timestamp,
    window: 1,
  });
  return delta === null ? undefined : Math.floor(timestamp / 1000 / PERIOD_S) + delta;
}

async function factorOf(db: Db, id: PersonId) {
  return db
    .selectFrom("person")
    .select(["totp_secret", "totp_confirmed_at"])
    .where("id", "=", id)
    .executeTakeFirstOrThrow();
}

const contextOf = (id: PersonId) => `totp:${formatId("per", id)}`;

function secretOf(encrypted: Buffer, id: PersonId, keyring: Keyring): Secret {
  return new Secret({ buffer: new Uint8Array(keyring.decrypt(encrypted, contextOf(id))).buffer });
}

/** `abcde-fghij`: 50 bits, which nobody guesses at five attempts in five minutes. */
const showCode = (secret: string) => `${secret.slice(0, 5)}-${secret.slice(5, 10)}`;

function hashOf(code: string, id: PersonId, keyring: Keyring): Buffer {
  return keyring.hash(`recovery ${id} ${code.replace(/[\s-]/g, "").toLowerCase()}`);
}
