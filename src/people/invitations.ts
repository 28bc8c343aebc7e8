/**
 * Invitations: a link of 24 hours that sets name and password, or is accepted with the password that one has.
 *
 * Invariant: only the newest link of a member works. Whoever has a password already must give it: an invitation never sets
 * another's. Accepting a pending subaccount as its owner makes it active, in the same transaction.
 */
import { line } from "../accounts/fields.ts";
import { activatePending } from "../accounts/transition.ts";
import { record } from "../audit/record.ts";
import { brandOf } from "../branding/brand.ts";
import { type LetterDeps, sendLetter } from "../letters/send.ts";
import type { Clock } from "../platform/clock.ts";
import type { Db } from "../platform/database.ts";
import { Fault, invalid } from "../platform/errors.ts";
import { formatId, type PersonId } from "../platform/ids.ts";
import type { Keyring } from "../platform/secrets.ts";
import { inTransaction } from "../platform/transaction.ts";
import { inviteLetter } from "./invite-letter.ts";
import { createLink, readLink, useLink, voidLinks } from "./links.ts";
import { type Passwords, password as passwordRule } from "./passwords.ts";
import { memberPrincipal, type Place, readerOf, readPlace } from "./person.ts";

export type InviteDeps = LetterDeps & Readonly<{ keyring: Keyring }>;

const INVITATION_MS = 24 * 3_600_000;

/** By mail. The links before it are void. */
export async function sendInvitation(trx: Db, place: Place, deps: InviteDeps): Promise<void> {
  const { token, expiresAt } = await makeInvitation(trx, place, deps);
  const { productName } = await brandOf(trx, place, deps.config);
  const reader = readerOf(place);
  await sendLetter(
    trx,
    {
      of: place,
      to: [place.email],
      reader,
      write: (who, origin) => inviteLetter({ productName, href: `${origin}/invite/${token}`, expiresAt }, who),
    },
    deps,
  );
}

/** For whoever hands it over himself. @returns the token of its path `/invite/{token}` */
export async function makeInvitation(
  trx: Db,
  place: Place,
  { keyring, clock }: Pick<InviteDeps, "keyring" | "clock">,
): Promise<Readonly<{ token: string; expiresAt: Date }>> {
  if (place.acceptedAt !== null) throw new Fault("conflict", "The invitation has been accepted already.");
  await voidLinks(trx, { purpose: "invite", memberId: place.memberId }, clock);
  const { memberId, personId, masterId, subaccountId } = place;
  return createLink(
    trx,
    { purpose: "invite", ttlMs: INVITATION_MS, memberId, personId, masterId, subaccountId },
    keyring,
    clock,
  );
}

/** Whom a link invites: for the page. @throws Fault gone */
export async function readInvitation(db: Db, token: string, keyring: Keyring, clock: Clock): Promise<Place> {
  const link = await readLink(db, token, "invite", keyring, clock);
  return placeOf(await readPlace(db, link.member_id!));
}

function placeOf(place: Place | undefined): Place {
  if (place === undefined) throw new Fault("gone", "This invitation was withdrawn.");
  return place;
}

export type Acceptance = Readonly<{ name?: string | undefined; password: string }>;

/** @throws Fault gone, invalid at /name and /password, unauthorized for a wrong password of one who has one */
export async function acceptInvitation(
  db: Db,
  token: string,
  input: Acceptance,
  deps: Readonly<{ keyring: Keyring; clock: Clock; passwords: Passwords }>,
): Promise<Place> {
  const { keyring, clock, passwords } = deps;
  const invited = await readInvitation(db, token, keyring, clock);
  const hash = await provenOrNew(db, invited, input, passwords);
  return inTransaction(db, async (trx) => {
    await useLink(trx, token, "invite", keyring, clock);
    const now = clock.now();
    if (hash !== null) await setFirstPassword(trx, invited.personId, hash, input.name ?? null, clock);
    await trx.updateTable("member").set({ accepted_at: now }).where("id", "=", invited.memberId).execute();
    if (invited.subaccountId !== null && invited.role === "owner") {
      await activatePending(trx, invited.subaccountId, memberPrincipal(invited), clock);
    }
    const target = formatId("mem", invited.memberId);
    const { masterId, subaccountId } = invited;
    const principal = memberPrincipal(invited);
    const entry = { principal, action: "member.accepted", target, before: null, after: null, masterId, subaccountId };
    await record(trx, entry, clock);
    return placeOf(await readPlace(trx, invited.memberId));
  });
}

/** Null: he has a password, and has given it. */
async function provenOrNew(db: Db, invited: Place, input: Acceptance, passwords: Passwords): Promise<string | null> {
  if (invited.hasPassword) {
    const { password_hash: hash } = await db
      .selectFrom("person")
      .select("password_hash")
      .where("id", "=", invited.personId)
      .executeTakeFirstOrThrow();
    if (await passwords.matches(input.password, hash)) return null;
    const detail = "This is not the password of your account here. You may reset it.";
    throw new Fault("unauthorized", detail, [{ pointer: "/password", detail }]);
  }
  const wrong = passwordRule(input.password);
  if (wrong !== undefined) throw invalid("/password", wrong);
  const wrongName = input.name === undefined ? undefined : line(200)(input.name);
  if (wrongName !== undefined) throw invalid("/name", wrongName);
  return passwords.hash(input.password);
}

/** @throws Fault conflict when another invitation of the same person has set one meanwhile */
async function setFirstPassword(trx: Db, id: PersonId, hash: string, name: string | null, clock: Clock): Promise<void> {
  const { numUpdatedRows } = await trx
    .updateTable("person")
    .set({ password_hash: hash, ...(name === null ? {} : { name }), updated_at: clock.now() })
    .where("id", "=", id)
    .where("password_hash", "is", null)
    .executeTakeFirst();
  if (numUpdatedRows === 0n) throw new Fault("conflict", "A password was set meanwhile: open the link again.");
}
