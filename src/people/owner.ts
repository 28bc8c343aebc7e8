/**
 * What a master does for the people of a subaccount: onboarding, a link to a new password, a temporary password.
 *
 * Invariant: a password is set for somebody only where all his places are this master's: who works for another too is asked to
 * reset it himself. Secrets are in one answer and nowhere else.
 */
import type { Subaccount } from "../accounts/account.ts";
import { createSubaccount, type SubaccountInput } from "../accounts/create-subaccount.ts";
import type { NewCredential } from "../accounts/credentials.ts";
import { findSubaccount } from "../accounts/find.ts";
import { requireMasterChange } from "../accounts/permit.ts";
import type { Principal } from "../accounts/principal.ts";
import { record } from "../audit/record.ts";
import type { Db } from "../platform/database.ts";
import { Fault } from "../platform/errors.ts";
import { formatId, type MemberId } from "../platform/ids.ts";
import { inTransaction } from "../platform/transaction.ts";
import { type InviteDeps, makeInvitation, sendInvitation } from "./invitations.ts";
import { insertMember } from "./members.ts";
import type { Passwords } from "./passwords.ts";
import { type Place, placesOf, readPlace, selectPlaces } from "./person.ts";
import { requestReset, setPassword } from "./reset.ts";

/** `logInPath`: opens once, within a day; null without an owner's address. */
export type Onboarded = Readonly<{
  subaccount: Subaccount;
  credential: NewCredential | null;
  logInPath: string | null;
}>;

/** Creates it, and brings its owner in: by mail (`invite`), or by a link in the answer (`handover`). */
export async function onboardSubaccount(
  db: Db,
  principal: Principal,
  input: SubaccountInput,
  deps: InviteDeps,
): Promise<Onboarded> {
  const { keyring, clock } = deps;
  return inTransaction(db, async (trx) => {
    const { subaccount, credential } = await createSubaccount(trx, principal, input, keyring, clock);
    const { ownerEmail } = subaccount;
    if (ownerEmail === null) return { subaccount, credential, logInPath: null };
    const place = await addOwner(trx, subaccount, ownerEmail, deps);
    const withOwner = await findSubaccount(trx, principal, subaccount.id, clock);
    if (input.onboarding !== "invite") {
      const { token } = await makeInvitation(trx, place, deps);
      return { subaccount: withOwner, credential, logInPath: `/invite/${token}` };
    }
    await sendInvitation(trx, place, deps);
    return { subaccount: withOwner, credential, logInPath: null };
  });
}

async function addOwner(trx: Db, subaccount: Subaccount, email: string, { clock }: InviteDeps): Promise<Place> {
  const { masterId, id: subaccountId, ownerName } = subaccount;
  const account = { masterId, subaccountId };
  const id = await insertMember(trx, account, { email, role: "owner", name: ownerName }, clock);
  return (await readPlace(trx, id)) as Place;
}

/** The one who answers for it: an owner who has accepted, else one who is invited. */
async function findOwner(trx: Db, subaccount: Subaccount): Promise<Place | undefined> {
  return selectPlaces(trx)
    .where("b.subaccount_id", "=", subaccount.id)
    .where("b.role", "=", "owner")
    .orderBy("b.accepted_at", (order) => order.asc().nullsLast())
    .orderBy("b.id")
    .executeTakeFirst();
}

/**
 * An invitation to owner_email, who becomes an owner; or again to the owner who is invited already: the link before it is void.
 * @throws Fault forbidden, conflict without an address, when it was accepted, or when the account is closed
 */
export async function inviteOwner(
  db: Db,
  principal: Principal,
  subaccount: Subaccount,
  again: boolean,
  deps: InviteDeps,
): Promise<Place> {
  requireMasterChange(principal);
  if (subaccount.state === "closed" || subaccount.state === "archived") {
    throw new Fault("conflict", `The account is ${subaccount.state}; reopen it first.`);
  }
  return inTransaction(db, async (trx) => {
    const invited = await findOwner(trx, subaccount);
    if (again && invited === undefined) throw new Fault("conflict", "Nobody is invited yet: invite the owner first.");
    if (!again && invited !== undefined) throw new Fault("conflict", "There is an owner: resend the invitation.");
    const place = invited ?? (await ownerToBe(trx, subaccount, deps));
    await sendInvitation(trx, place, deps);
    await noteOwner(trx, principal, "member.invited", subaccount, place.memberId, deps);
    return place;
  });
}

async function ownerToBe(trx: Db, subaccount: Subaccount, deps: InviteDeps): Promise<Place> {
  if (subaccount.ownerEmail === null)
    throw new Fault("conflict", "Set owner_email first: an invitation needs an address.");
  return addOwner(trx, subaccount, subaccount.ownerEmail, deps);
}

/** The link goes to the owner's own address. @throws Fault forbidden, conflict without an owner who can log in */
export async function resetOwner(
  db: Db,
  principal: Principal,
  subaccount: Subaccount,
  deps: InviteDeps,
): Promise<Place> {
  requireMasterChange(principal);
  return inTransaction(db, async (trx) => {
    const owner = await requireOwner(trx, subaccount);
    await requestReset(trx, owner.email);
    await noteOwner(trx, principal, "member.reset_sent", subaccount, owner.memberId, deps);
    return owner;
  });
}

/**
 * Shown once; to be changed at the next log-in; the owner is told by mail, and logged out.
 * @throws Fault forbidden, conflict without an owner who can log in, or one who has places elsewhere
 */
export async function setTemporaryPassword(
  db: Db,
  principal: Principal,
  subaccount: Subaccount,
  deps: InviteDeps & Readonly<{ passwords: Passwords }>,
): Promise<Readonly<{ owner: Place; password: string }>> {
  requireMasterChange(principal);
  const password = deps.keyring
    .newSecret()
    .slice(0, 20)
    .replace(/(.{5})(?=.)/g, "$1-");
  const hash = await deps.passwords.hash(password);
  return inTransaction(db, async (trx) => {
    const owner = await requireOwner(trx, subaccount);
    const places = await placesOf(trx, owner.personId);
    if (places.some(({ subaccountId, masterId }) => masterId !== subaccount.masterId || subaccountId === null)) {
      throw new Fault("conflict", "This person can log in elsewhere too: send a link to a new password instead.");
    }
    await setPassword(trx, owner.personId, { hash, temporary: true }, deps);
    await noteOwner(trx, principal, "member.temporary_password_set", subaccount, owner.memberId, deps);
    return { owner, password };
  });
}

async function requireOwner(trx: Db, subaccount: Subaccount): Promise<Place> {
  const owner = await findOwner(trx, subaccount);
  if (owner === undefined || owner.acceptedAt === null || !owner.hasPassword) {
    throw new Fault("conflict", "No owner of this account can log in yet: invite one first.");
  }
  return owner;
}

async function noteOwner(
  trx: Db,
  principal: Principal,
  action: string,
  { masterId, id: subaccountId }: Subaccount,
  memberId: MemberId,
  { clock }: InviteDeps,
): Promise<void> {
  const target = formatId("mem", memberId);
  await record(trx, { principal, action, target, before: null, after: null, masterId, subaccountId }, clock);
}
