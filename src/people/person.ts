/** People and their places in accounts, as log-in, pages and letters need them. */
import { sql } from "kysely";
import { zoneOfMaster } from "../accounts/calendar.ts";
import type { Principal } from "../accounts/principal.ts";
import { languageOf, type Reader } from "../letters/language.ts";
import type { Clock } from "../platform/clock.ts";
import type { Db } from "../platform/database.ts";
import { type MasterId, type MemberId, newId, type PersonId, type SubaccountId } from "../platform/ids.ts";
import { type Role, scopesOf } from "./roles.ts";

/** One place of a person: a member with the account it belongs to. Both ids null: the operator's. */
export type Place = Readonly<{
  memberId: MemberId;
  personId: PersonId;
  email: string;
  name: string | null;
  role: Role;
  masterId: MasterId | null;
  subaccountId: SubaccountId | null;
  acceptedAt: Date | null;
  hasPassword: boolean;
  language: string | null;
  timeZone: string | null;
}>;

/** Members that are not removed, with what their person and account say of language and zone. */
export function selectPlaces(db: Db) {
  return db
    .selectFrom("member as b")
    .innerJoin("person as p", "p.id", "b.person_id")
    .leftJoin("subaccount as s", "s.id", "b.subaccount_id")
    .leftJoin("master as m", (join) => join.on(sql<boolean>`m.id = coalesce(b.master_id, s.master_id)`))
    .where("b.removed_at", "is", null)
    .select([
      "b.id as memberId",
      "b.person_id as personId",
      "p.email",
      "p.name",
      "b.role",
      "b.accepted_at as acceptedAt",
    ])
    .select([sql<MasterId | null>`m.id`.as("masterId"), "b.subaccount_id as subaccountId"])
    .select(sql<boolean>`p.password_hash is not null`.as("hasPassword"))
    .select([
      sql<string | null>`coalesce(p.language, s.language, m.language)`.as("language"),
      sql<string | null>`coalesce(p.time_zone, s.time_zone, ${zoneOfMaster})`.as("timeZone"),
    ]);
}

export async function readPlace(db: Db, id: MemberId): Promise<Place | undefined> {
  return selectPlaces(db).where("b.id", "=", id).executeTakeFirst();
}

/** The places that count: those that were accepted, the highest first. */
export async function placesOf(db: Db, personId: PersonId): Promise<Place[]> {
  return selectPlaces(db)
    .where("b.person_id", "=", personId)
    .where("b.accepted_at", "is not", null)
    .orderBy(sql`(b.master_id is null and b.subaccount_id is null)`, "desc")
    .orderBy(sql`b.subaccount_id is null`, "desc")
    .orderBy("b.id")
    .execute();
}

export const readerOf = ({ language, timeZone }: Pick<Place, "language" | "timeZone">): Reader => ({
  language: languageOf(language),
  timeZone: timeZone ?? "UTC",
});

/** Whoever has just shown who he is, for what he does to his own person. */
export function memberPrincipal(place: Pick<Place, "memberId" | "masterId" | "subaccountId" | "role">): Principal {
  const { memberId, masterId, subaccountId, role } = place;
  const scopes = scopesOf[role];
  if (masterId === null) return { kind: "operator", via: "person", memberId, scopes };
  if (subaccountId === null) return { kind: "master", masterId, keyId: null, memberId, scopes };
  return { kind: "subaccount", masterId, subaccountId, keyId: null, memberId, scopes };
}

/** By address, whatever its case. Made when nobody has it; whether somebody did is not told. */
export async function personWith(trx: Db, email: string, name: string | null, clock: Clock): Promise<PersonId> {
  const now = clock.now();
  await trx
    .insertInto("person")
    .values({ id: newId<PersonId>(clock), email, name, created_at: now, updated_at: now })
    .onConflict((conflict) => conflict.expression(sql`lower(email)`).doNothing())
    .execute();
  const row = await trx
    .selectFrom("person")
    .select("id")
    .where(sql`lower(email)`, "=", email.toLowerCase())
    .executeTakeFirstOrThrow();
  return row.id;
}
