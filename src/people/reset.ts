/**
 * Forgotten passwords: a link of 60 minutes to the person's own address.
 *
 * Invariant: asking is answered alike, in the same time, whether or not anybody has the address: the work is a job. A new
 * password ends all sessions and all links that were sent before; the second factor stays.
 */
import { sql } from "kysely";
import { brandOf } from "../branding/brand.ts";
import { type LetterDeps, sendLetter } from "../letters/send.ts";
import type { Clock } from "../platform/clock.ts";
import type { Db } from "../platform/database.ts";
import { invalid } from "../platform/errors.ts";
import { formatId, type PersonId } from "../platform/ids.ts";
import { addJob } from "../platform/jobs.ts";
import type { Keyring } from "../platform/secrets.ts";
import { inTransaction } from "../platform/transaction.ts";
import { createLink, readLink, useLink, voidLinks } from "./links.ts";
import { noteSession } from "./log-in.ts";
import { passwordChangedLetter, resetLetter } from "./password-letters.ts";
import { type Passwords, password as passwordRule } from "./passwords.ts";
import { type Place, placesOf, readerOf } from "./person.ts";
import { endSessions } from "./sessions.ts";

const RESET_MS = 3_600_000;
const MAX_OPEN_PER_HOUR = 5;

export type ResetDeps = LetterDeps & Readonly<{ keyring: Keyring }>;

/** Whoever has that address gets a link; nobody learns whether somebody does. */
export async function requestReset(db: Db, email: string): Promise<void> {
  await addJob(db, "password_reset", { email: email.slice(0, 320).toLowerCase() });
}

/** The job `password_reset`. An address without a person who can log in gets nothing, and none more than five an hour. */
export async function sendReset(db: Db, payload: unknown, deps: ResetDeps): Promise<void> {
  const { email } = payload as { email: string };
  await inTransaction(db, async (trx) => {
    const person = await trx
      .selectFrom("person")
      .select("id")
      .where(sql`lower(email)`, "=", email)
      .where("password_hash", "is not", null)
      .forUpdate()
      .executeTakeFirst();
    const [place] = person === undefined ? [] : await placesOf(trx, person.id);
    if (person === undefined || place === undefined || (await askedOften(trx, person.id, deps.clock))) return;
    await sendResetTo(trx, place, deps);
  });
}

async function askedOften(trx: Db, personId: PersonId, clock: Clock): Promise<boolean> {
  const { count } = await trx
    .selectFrom("link")
    .select((eb) => eb.fn.countAll<number>().as("count"))
    .where("purpose", "=", "reset")
    .where("person_id", "=", personId)
    .where("created_at", ">", new Date(clock.now().getTime() - RESET_MS))
    .executeTakeFirstOrThrow();
  return Number(count) >= MAX_OPEN_PER_HOUR;
}

async function sendResetTo(trx: Db, place: Place, deps: ResetDeps): Promise<void> {
  const { keyring, clock, config } = deps;
  const { personId } = place;
  await voidLinks(trx, { purpose: "reset", personId }, clock);
  const { token, expiresAt } = await createLink(trx, { purpose: "reset", ttlMs: RESET_MS, personId }, keyring, clock);
  const { productName } = await brandOf(trx, place, config);
  const post = { of: place, to: [place.email], reader: readerOf(place) };
  await sendLetter(
    trx,
    {
      ...post,
      write: (who, origin) => resetLetter({ productName, href: `${origin}/reset/${token}`, expiresAt }, who),
    },
    deps,
  );
}

/** Whose password the link sets: for the page. @throws Fault gone */
export async function readReset(db: Db, token: string, keyring: Keyring, clock: Clock): Promise<Place | undefined> {
  const link = await readLink(db, token, "reset", keyring, clock);
  return (await placesOf(db, link.person_id as PersonId))[0];
}

/** @throws Fault gone, invalid at /password */
export async function completeReset(
  db: Db,
  token: string,
  password: string,
  deps: ResetDeps & Readonly<{ passwords: Passwords }>,
): Promise<void> {
  const wrong = passwordRule(password);
  if (wrong !== undefined) throw invalid("/password", wrong);
  await readLink(db, token, "reset", deps.keyring, deps.clock); // before the costly hash
  const hash = await deps.passwords.hash(password);
  await inTransaction(db, async (trx) => {
    const link = await useLink(trx, token, "reset", deps.keyring, deps.clock);
    const personId = link.person_id as PersonId;
    await setPassword(trx, personId, { hash, temporary: false }, deps);
  });
}

/**
 * Ends all sessions (but the one in which it was asked) and open links, tells the person, and is audited for each account
 * it opens.
 */
export async function setPassword(
  trx: Db,
  personId: PersonId,
  password: Readonly<{ hash: string; temporary: boolean; but?: Parameters<typeof endSessions>[1]["but"] }>,
  deps: LetterDeps,
): Promise<void> {
  const { clock } = deps;
  await trx
    .updateTable("person")
    .set({ password_hash: password.hash, password_temporary: password.temporary, updated_at: clock.now() })
    .where("id", "=", personId)
    .execute();
  await endSessions(trx, { personId, but: password.but }, clock);
  await voidLinks(trx, { purpose: "reset", personId }, clock);
  const places = await placesOf(trx, personId);
  for (const place of places) await noteSession(trx, place, "password.changed", formatId("per", personId), clock);
  const [place] = places;
  if (place === undefined) return;
  const { productName } = await brandOf(trx, place, deps.config);
  const words = { productName, temporary: password.temporary, at: clock.now() };
  const write: Parameters<typeof sendLetter>[1]["write"] = (who, origin) =>
    passwordChangedLetter({ ...words, href: `${origin}/reset` }, who);
  await sendLetter(trx, { of: place, to: [place.email], reader: readerOf(place), write }, deps);
}
