/** What a person changes of his own: name, language, zone, password. */
import { language, line, orNull, timeZone } from "../accounts/fields.ts";
import type { LetterDeps } from "../letters/send.ts";
import type { Clock } from "../platform/clock.ts";
import type { Db } from "../platform/database.ts";
import { Fault, type FaultDetail, invalid } from "../platform/errors.ts";
import type { PersonId, SessionId } from "../platform/ids.ts";
import { inTransaction } from "../platform/transaction.ts";
import { type Passwords, password as passwordRule } from "./passwords.ts";
import { setPassword } from "./reset.ts";

export type PersonPatch = Readonly<{
  name?: string | null | undefined;
  language?: string | null | undefined;
  timeZone?: string | null | undefined;
}>;

export type Person = Readonly<{
  id: PersonId;
  email: string;
  name: string | null;
  language: string | null;
  timeZone: string | null;
  secondFactor: boolean;
}>;

export async function readPerson(db: Db, id: PersonId): Promise<Person> {
  const row = await db
    .selectFrom("person")
    .select(["id", "email", "name", "language", "time_zone", "totp_confirmed_at"])
    .where("id", "=", id)
    .executeTakeFirstOrThrow();
  const { time_zone: zone, totp_confirmed_at: confirmedAt, ...rest } = row;
  return { ...rest, timeZone: zone, secondFactor: confirmedAt !== null };
}

/** @throws Fault invalid */
export async function changePerson(db: Db, id: PersonId, patch: PersonPatch, clock: Clock): Promise<Person> {
  const rules = { name: orNull(line(200)), language: orNull(language), timeZone: orNull(timeZone) };
  const mistakes: FaultDetail[] = [];
  for (const [name, rule] of Object.entries(rules)) {
    const value = patch[name as keyof PersonPatch];
    const wrong = value === undefined ? undefined : rule(value);
    if (wrong !== undefined) mistakes.push({ pointer: `/${name === "timeZone" ? "time_zone" : name}`, detail: wrong });
  }
  const [first] = mistakes;
  if (first !== undefined) throw new Fault("invalid", first.detail, mistakes);
  await db
    .updateTable("person")
    .set({ name: patch.name, language: patch.language, time_zone: patch.timeZone, updated_at: clock.now() })
    .where("id", "=", id)
    .execute();
  return readPerson(db, id);
}

export type PasswordChange = Readonly<{ current: string; next: string; session: SessionId | undefined }>;

/** All other sessions end. @throws Fault invalid at /password, unauthorized when `current` is wrong */
export async function changePassword(
  db: Db,
  id: PersonId,
  { current, next, session }: PasswordChange,
  deps: LetterDeps & Readonly<{ passwords: Passwords }>,
): Promise<void> {
  const wrong = passwordRule(next);
  if (wrong !== undefined) throw invalid("/password", wrong);
  if (current === next) throw invalid("/password", "This is the password that you have.");
  const { password_hash: hash } = await db
    .selectFrom("person")
    .select("password_hash")
    .where("id", "=", id)
    .executeTakeFirstOrThrow();
  if (!(await deps.passwords.matches(current, hash))) {
    throw new Fault("unauthorized", "This is not your password.", [
      { pointer: "/current_password", detail: "This is not your password." },
    ]);
  }
  const fresh = await deps.passwords.hash(next);
  await inTransaction(db, (trx) => setPassword(trx, id, { hash: fresh, temporary: false, but: session }, deps));
}
