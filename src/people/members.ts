/**
 * The members of an account: who they are, as what, and who leaves.
 *
 * Invariant: whoever manages members is an owner or admin, a key with all rights, or whoever acts for the account from above;
 * an admin does not touch owners, and the last owner stays. Another account's member is `not-found`. A member who is removed
 * is logged out everywhere.
 */
import { sql } from "kysely";
import { requireChange } from "../accounts/permit.ts";
import { type Principal, reachOf } from "../accounts/principal.ts";
import { record } from "../audit/record.ts";
import type { Clock } from "../platform/clock.ts";
import type { Db } from "../platform/database.ts";
import { Fault, notFound } from "../platform/errors.ts";
import { formatId, type MemberId, newId } from "../platform/ids.ts";
import { inTransaction } from "../platform/transaction.ts";
import { voidLinks } from "./links.ts";
import { type Place, personWith, selectPlaces } from "./person.ts";
import { mayManage, type Role } from "./roles.ts";
import { endSessions } from "./sessions.ts";

export type Member = Place & Readonly<{ invitedAt: Date; secondFactor: boolean; lastSeenAt: Date | null }>;

/** Oldest first; `limit + 1` rows, the last tells that there is more. */
export async function listMembers(
  db: Db,
  principal: Principal,
  page: Readonly<{ after?: MemberId | undefined; limit: number }>,
): Promise<Member[]> {
  let query = selectMembers(db, principal);
  if (page.after !== undefined) query = query.where("b.id", ">", page.after);
  return query
    .orderBy("b.id")
    .limit(page.limit + 1)
    .execute();
}

/** @throws Fault not-found */
export async function findMember(db: Db, principal: Principal, id: MemberId): Promise<Member> {
  const found = principal.kind === "operator" ? selectAll(db) : selectMembers(db, principal);
  const member = await found.where("b.id", "=", id).executeTakeFirst();
  if (member === undefined) throw notFound("member");
  return member;
}

/** Of the principal's own account. A master sees a subaccount's when it acts for it. */
function selectMembers(db: Db, principal: Principal) {
  const { masterId, subaccountId } = reachOf(principal);
  return selectAll(db)
    .where(
      "b.master_id",
      subaccountId === null && masterId !== null ? "=" : "is",
      subaccountId === null ? masterId : null,
    )
    .where("b.subaccount_id", subaccountId === null ? "is" : "=", subaccountId);
}

function selectAll(db: Db) {
  return selectPlaces(db)
    .select("b.invited_at as invitedAt")
    .select(sql<boolean>`p.totp_confirmed_at is not null`.as("secondFactor"))
    .select((eb) =>
      eb
        .selectFrom("session as x")
        .select(({ fn }) => fn.max("x.seen_at").as("at"))
        .whereRef("x.member_id", "=", "b.id")
        .as("lastSeenAt"),
    );
}

export type MemberInput = Readonly<{ email: string; role: Role; name?: string | null | undefined }>;

type Account = Readonly<Pick<Place, "masterId" | "subaccountId">>;

/** Without questions, for verbs that have asked them. @throws Fault conflict */
export async function insertMember(trx: Db, account: Account, input: MemberInput, clock: Clock): Promise<MemberId> {
  const personId = await personWith(trx, input.email, input.name ?? null, clock);
  const id = newId<MemberId>(clock);
  const inserted = await trx
    .insertInto("member")
    .values({
      id,
      person_id: personId,
      master_id: account.subaccountId === null ? account.masterId : null,
      subaccount_id: account.subaccountId,
      role: input.role,
      invited_at: clock.now(),
    })
    .onConflict((conflict) => conflict.doNothing())
    .executeTakeFirst();
  if (inserted.numInsertedOrUpdatedRows === 0n) {
    throw new Fault("conflict", "There is a member with this address.", [
      { pointer: "/email", detail: "There is a member with this address." },
    ]);
  }
  return id;
}

/** @throws Fault not-found, forbidden, conflict for the last owner */
export async function changeRole(
  db: Db,
  principal: Principal,
  id: MemberId,
  role: Role,
  clock: Clock,
): Promise<Member> {
  requireChange(principal);
  return inTransaction(db, async (trx) => {
    const member = await lockMember(trx, principal, id);
    await requireManager(trx, principal, member.role);
    await requireManager(trx, principal, role);
    if (member.role === role) return member;
    if (member.role === "owner") await requireOtherOwner(trx, member);
    await trx.updateTable("member").set({ role }).where("id", "=", id).execute();
    await noteMember(trx, principal, "member.changed", id, { role: member.role }, { role }, clock);
    return findMember(trx, principal, id);
  });
}

/** Invited or not. He is logged out everywhere. @throws as changeRole */
export async function removeMember(db: Db, principal: Principal, id: MemberId, clock: Clock): Promise<void> {
  requireChange(principal);
  await inTransaction(db, async (trx) => {
    const member = await lockMember(trx, principal, id);
    await requireManager(trx, principal, member.role);
    if (member.role === "owner" && member.acceptedAt !== null) await requireOtherOwner(trx, member);
    await trx.updateTable("member").set({ removed_at: clock.now() }).where("id", "=", id).execute();
    await voidLinks(trx, { purpose: "invite", memberId: id }, clock);
    await endSessions(trx, { memberId: id }, clock);
    await noteMember(trx, principal, "member.removed", id, { email: member.email, role: member.role }, null, clock);
  });
}

async function requireOtherOwner(trx: Db, member: Member): Promise<void> {
  const owners = await membersBeside(trx, member)
    .where("role", "=", "owner")
    .where("accepted_at", "is not", null)
    .execute();
  if (owners.some(({ id }) => id !== member.memberId)) return;
  throw new Fault("conflict", "This is the last owner: make another member one first.");
}

/** With all others of the account, in one order: of two owners who leave at once the second sees that the first has left. */
async function lockMember(trx: Db, principal: Principal, id: MemberId): Promise<Member> {
  const member = await findMember(trx, principal, id);
  await membersBeside(trx, member).orderBy("id").forUpdate().execute();
  return findMember(trx, principal, id);
}

function membersBeside(trx: Db, { masterId, subaccountId }: Member) {
  const query = trx.selectFrom("member").select("id").where("removed_at", "is", null);
  if (subaccountId !== null) return query.where("subaccount_id", "=", subaccountId);
  if (masterId !== null) return query.where("master_id", "=", masterId);
  return query.where("master_id", "is", null).where("subaccount_id", "is", null);
}

/** @throws Fault forbidden unless the caller may have to do with members of that role */
export async function requireManager(trx: Db, principal: Principal, role: Role): Promise<void> {
  const fromAbove = principal.kind === "subaccount" && (principal.by !== undefined || principal.operator === true);
  if (fromAbove || principal.memberId === undefined || (principal.kind === "master" && principal.operator)) return;
  const row = await trx.selectFrom("member").select("role").where("id", "=", principal.memberId).executeTakeFirst();
  if (row === undefined || !mayManage(row.role, role)) {
    throw new Fault("forbidden", "Only an owner may do this with an owner; with others an admin may.");
  }
}

/** In the log of the account whose member it is. */
export async function noteMember(
  trx: Db,
  principal: Principal,
  action: string,
  id: MemberId,
  before: Record<string, unknown> | null,
  after: Record<string, unknown> | null,
  clock: Clock,
): Promise<void> {
  const { masterId, subaccountId } = reachOf(principal);
  await record(trx, { principal, action, target: formatId("mem", id), before, after, masterId, subaccountId }, clock);
}
