/**
 * A rate card: terms under a name, of the operator for masters or of a master for its subaccounts.
 *
 * Invariant: name and currency stay; a version's terms never change (migrations/0043), and an account keeps the version it has
 * until it is given another.
 */
import { type Selectable, sql } from "kysely";
import { type Principal, reachOf } from "../accounts/principal.ts";
import type { Clock } from "../platform/clock.ts";
import type { Db } from "../platform/database.ts";
import { notFound } from "../platform/errors.ts";
import type { MasterId, RateCardId } from "../platform/ids.ts";
import type { Schema } from "../platform/schema.ts";
import type { PriceTerms } from "./terms.ts";

export type RateCard = Readonly<{
  id: RateCardId;
  /** Null: the operator's, for masters. */
  masterId: MasterId | null;
  name: string;
  /** Of the terms; from 1. */
  n: number;
  terms: PriceTerms;
  /** The version that rules for subaccounts with no card and no priced plan; null: this is not the default. */
  defaultN: number | null;
  /** It is given to nobody any more. */
  withdrawnAt: Date | null;
  createdAt: Date;
  updatedAt: Date;
  /** Of the row, for If-Match. */
  version: number;
}>;

type Version = Selectable<Schema["rate_card_version"]>;
type Row = Selectable<Schema["rate_card"]> & Omit<Version, "rate_card_id" | "created_at">;

/** Cards `c` that the principal reaches, with their current terms `v`. @throws Fault not-found for a subaccount */
export function selectRateCards(db: Db, principal: Principal) {
  const { masterId, subaccountId } = reachOf(principal);
  if (subaccountId !== null) throw notFound("rate card");
  const query = selectAll(db);
  return masterId === null ? query : query.where("c.master_id", "=", masterId);
}

/** One that can be given to who pays this owner, kept as it is until the end of the transaction. Null: the operator. */
export async function keepRateCard(trx: Db, owner: MasterId | null, id: RateCardId): Promise<RateCard | undefined> {
  const row = await selectAll(trx)
    .where("c.id", "=", id)
    .where("c.master_id", "is not distinct from", owner)
    .forShare("c")
    .executeTakeFirst();
  return row === undefined ? undefined : rateCardOf(row);
}

function selectAll(db: Db) {
  return db
    .selectFrom("rate_card as c")
    .innerJoin("rate_card_version as v", (join) =>
      join.onRef("v.rate_card_id", "=", "c.id").onRef("v.n", "=", "c.current"),
    )
    .selectAll("c")
    .select(["v.n", "v.price_minor", "v.cycle", "v.included_units", "v.overage_per_1000", "v.ceiling_minor"]);
}

export function rateCardOf(row: Row): RateCard {
  return {
    id: row.id,
    masterId: row.master_id,
    name: row.name,
    n: row.n,
    terms: termsOfVersion(row.currency, row),
    defaultN: row.default_n,
    withdrawnAt: row.withdrawn_at,
    createdAt: row.created_at,
    updatedAt: row.updated_at,
    version: row.version,
  };
}

type VersionTerms = Omit<Version, "rate_card_id" | "n" | "created_at">;

export function termsOfVersion(currency: string, row: VersionTerms): PriceTerms {
  return {
    currency,
    priceMinor: row.price_minor,
    cycle: row.cycle,
    includedUnits: row.included_units,
    overagePer1000: row.overage_per_1000,
    ceilingMinor: row.ceiling_minor,
  };
}

/** @throws Fault not-found */
export async function findRateCard(db: Db, principal: Principal, id: RateCardId): Promise<RateCard> {
  const row = await selectRateCards(db, principal).where("c.id", "=", id).executeTakeFirst();
  if (row === undefined) throw notFound("rate card");
  return rateCardOf(row);
}

export type RateCardFilter = Readonly<{
  after?: RateCardId | undefined;
  limit: number;
  /** The operator's choice; without it the operator's own. */
  masterId?: MasterId | undefined;
}>;

/** Those that can be given, oldest first; `limit + 1` rows, the last tells that there is more. */
export async function listRateCards(db: Db, principal: Principal, filter: RateCardFilter): Promise<RateCard[]> {
  let query = selectRateCards(db, principal).where("c.withdrawn_at", "is", null);
  if (filter.masterId !== undefined) query = query.where("c.master_id", "=", filter.masterId);
  else if (principal.kind === "operator") query = query.where("c.master_id", "is", null);
  if (filter.after !== undefined) query = query.where("c.id", ">", filter.after);
  const page = query.orderBy("c.id").limit(filter.limit + 1);
  return (await page.execute()).map(rateCardOf);
}

/** `accounts`: how many were given this version, now or for the next period; those of the default are not counted. */
export type RateCardVersion = Readonly<{ n: number; terms: PriceTerms; createdAt: Date; accounts: number }>;

const MAX_VERSIONS = 1000;

/** Newest first. @throws Fault not-found */
export async function listRateCardVersions(
  db: Db,
  principal: Principal,
  id: RateCardId,
  clock: Clock,
): Promise<RateCardVersion[]> {
  const { terms } = await findRateCard(db, principal, id);
  const rows = await db
    .selectFrom("rate_card_version")
    .selectAll()
    .where("rate_card_id", "=", id)
    .orderBy("n", "desc")
    .limit(MAX_VERSIONS)
    .execute();
  const accounts = await countAccounts(db, id, clock);
  return rows.map((row) => ({
    n: row.n,
    terms: termsOfVersion(terms.currency, row),
    createdAt: row.created_at,
    accounts: accounts.get(row.n) ?? 0,
  }));
}

/** By version. All versions in one pass over those that have the card. */
async function countAccounts(db: Db, id: RateCardId, clock: Clock): Promise<ReadonlyMap<number, number>> {
  const { rows } = await sql<{ n: number; accounts: number }>`
    select n, count(*) as accounts from (
      select account_id, n from price_choice where rate_card_id = ${id} and (next_at is null or next_at > ${clock.now()})
      union select account_id, next_n from price_choice where next_rate_card_id = ${id}) p
     group by n`.execute(db);
  return new Map(rows.map(({ n, accounts }) => [n, accounts]));
}
