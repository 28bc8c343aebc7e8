/** Inviting somebody into the caller's own account, and sending the link again. */
import { email as emailRule, line } from "../accounts/fields.ts";
import { requireChange } from "../accounts/permit.ts";
import { type Principal, reachOf } from "../accounts/principal.ts";
import type { Db } from "../platform/database.ts";
import { Fault, invalid } from "../platform/errors.ts";
import type { MemberId } from "../platform/ids.ts";
import { inTransaction } from "../platform/transaction.ts";
import { type InviteDeps, sendInvitation } from "./invitations.ts";
import { findMember, insertMember, type Member, type MemberInput, noteMember, requireManager } from "./members.ts";

/** @throws Fault invalid, forbidden, conflict when he is a member already */
export async function inviteMember(
  db: Db,
  principal: Principal,
  input: MemberInput,
  deps: InviteDeps,
): Promise<Member> {
  requireChange(principal);
  checkInput(input, principal);
  return inTransaction(db, async (trx) => {
    await requireManager(trx, principal, input.role);
    const id = await insertMember(trx, reachOf(principal), input, deps.clock);
    const { email, role } = input;
    await noteMember(trx, principal, "member.invited", id, null, { email, role }, deps.clock);
    await sendInvitation(trx, await findMember(trx, principal, id), deps);
    return findMember(trx, principal, id);
  });
}

function checkInput({ email, name, role }: MemberInput, principal: Principal): void {
  const wrong = emailRule(email);
  if (wrong !== undefined) throw invalid("/email", wrong);
  const wrongName = name == null ? undefined : line(200)(name);
  if (wrongName !== undefined) throw invalid("/name", wrongName);
  if (role === "billing" && principal.kind === "subaccount") {
    throw invalid("/role", "Billing is the master's: a subaccount has no such members.");
  }
}

/** The link before it is void. @throws Fault not-found, forbidden, conflict when it was accepted */
export async function resendInvitation(db: Db, principal: Principal, id: MemberId, deps: InviteDeps): Promise<Member> {
  requireChange(principal);
  return inTransaction(db, async (trx) => {
    const member = await findMember(trx, principal, id);
    await requireManager(trx, principal, member.role);
    if (member.acceptedAt !== null) throw new Fault("conflict", "The invitation has been accepted already.");
    await sendInvitation(trx, member, deps);
    await noteMember(
      trx,
      principal,
      "member.invited",
      id,
      null,
      { email: member.email, role: member.role },
      deps.clock,
    );
    return member;
  });
}
