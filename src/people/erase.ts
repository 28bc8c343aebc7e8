/**
 * The people of an erased account leave it, with their sessions and links.
 *
 * Invariant: whoever has a place elsewhere stays as he is there; whoever has none is removed wholly.
 */
import { sql } from "kysely";
import type { Db } from "../platform/database.ts";
import type { PersonId, SubaccountId } from "../platform/ids.ts";

export async function eraseMembers(trx: Db, subaccountId: SubaccountId): Promise<void> {
  const persons = await personsWithoutPlace(trx, subaccountId);
  const members = sql`select id from member where subaccount_id = ${subaccountId} or person_id = any(${persons}::uuid[])`;
  const theirs = sql`subaccount_id = ${subaccountId} or person_id = any(${persons}::uuid[]) or member_id in (${members})`;
  await sql`delete from session where ${theirs}`.execute(trx);
  await sql`delete from link where ${theirs}`.execute(trx);
  await sql`delete from member where id in (${members})`.execute(trx);
  await sql`delete from person where id = any(${persons}::uuid[])`.execute(trx);
}

/** Addresses of those who go wholly with the account, in lower case. */
export async function addressesOfMembers(db: Db, subaccountId: SubaccountId): Promise<string[]> {
  const persons = await personsWithoutPlace(db, subaccountId);
  const { rows } = await sql<{ email: string }>`
    select lower(email) as email from person where id = any(${persons}::uuid[])`.execute(db);
  return rows.map(({ email }) => email);
}

/** Locked until the transaction ends: nobody gives them another place meanwhile. */
async function personsWithoutPlace(db: Db, subaccountId: SubaccountId): Promise<PersonId[]> {
  const { rows } = await sql<{ id: PersonId }>`
    select p.id from person p
     where p.id in (select person_id from member where subaccount_id = ${subaccountId}) order by p.id for update`.execute(
    db,
  );
  const ids = rows.map(({ id }) => id);
  const placed = await sql<{ id: PersonId }>`
    select distinct person_id as id from member
     where person_id = any(${ids}::uuid[]) and removed_at is null and subaccount_id is distinct from ${subaccountId}`.execute(
    db,
  );
  const stay = placed.rows.map(({ id }) => id);
  return ids.filter((id) => !stay.includes(id));
}
