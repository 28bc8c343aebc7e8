/**
 * Rate cards: made, changed, withdrawn.
 *
 * Invariant: new terms are a new version. It rules for whoever is given the card from then on, and for those that have it,
 * the default's subaccounts with them, only where that is asked for. Of one name there is one card that can be given, and of a master
 * one default at most.
 */
import { sql } from "kysely";
import { changedMembers, checkFields, flag, line, membersOf } from "../accounts/fields.ts";
import { findMaster } from "../accounts/find.ts";
import { requireMasterChange } from "../accounts/permit.ts";
import type { Principal } from "../accounts/principal.ts";
import { requireVersion } from "../accounts/version.ts";
import { record } from "../audit/record.ts";
import type { Clock } from "../platform/clock.ts";
import type { Db } from "../platform/database.ts";
import { Fault, invalid } from "../platform/errors.ts";
import { formatId, type MasterId, newId, type RateCardId } from "../platform/ids.ts";
import { inTransaction } from "../platform/transaction.ts";
import { findRateCard, type RateCard, rateCardOf, selectRateCards } from "./rate-card.ts";
import { type PriceTerms, priceFields } from "./terms.ts";

export type NewRateCard = PriceTerms &
  Readonly<{
    name: string;
    isDefault?: boolean | undefined;
    /** The operator's choice; without it the card is the operator's own. */
    masterId?: MasterId | undefined;
  }>;

const newFields = {
  name: { column: "name", rule: line(100) },
  isDefault: { column: "is_default", rule: flag },
  ...priceFields,
};

/** As the default it takes the place of the one before. @throws Fault forbidden, invalid, conflict when the name is taken */
export async function createRateCard(
  db: Db,
  principal: Principal,
  input: NewRateCard,
  clock: Clock,
): Promise<RateCard> {
  requireMasterChange(principal);
  checkFields(newFields, input);
  const { name, isDefault = false, masterId: chosen, ...terms } = input;
  return inTransaction(db, async (trx) => {
    const own = principal.kind === "operator" && chosen === undefined;
    // The one lock that it needs from the start: who keeps a master waits for others who keep it before he may change it.
    const purpose = isDefault ? "change" : "keep";
    const masterId = own ? null : (await findMaster(trx, principal, chosen, clock, purpose)).id;
    const id = newId<RateCardId>(clock);
    const now = clock.now();
    const row = { id, master_id: masterId, name, currency: terms.currency, created_at: now, updated_at: now };
    const inserted = await trx
      .insertInto("rate_card")
      .values(row)
      .onConflict((conflict) => conflict.doNothing())
      .returning("id")
      .executeTakeFirst();
    if (inserted === undefined) throw taken();
    await insertVersion(trx, id, 1, terms, now);
    if (isDefault) await makeDefault(trx, principal, await findRateCard(trx, principal, id), clock);
    const card = await findRateCard(trx, principal, id);
    await note(trx, principal, "rate_card.created", [null, card], clock);
    return card;
  });
}

function taken(): Fault {
  const detail = "Another rate card has this name.";
  return new Fault("conflict", detail, [{ pointer: "/name", detail }]);
}

type GivenTerms = { readonly [T in keyof PriceTerms]?: PriceTerms[T] | undefined };

export type RateCardPatch = GivenTerms &
  Readonly<{
    isDefault?: boolean | undefined;
    /** The new version rules at once for all that have the card, and for the default's subaccounts. */
    applyToExisting?: boolean | undefined;
  }>;

const patchFields = {
  ...priceFields,
  isDefault: newFields.isDefault,
  applyToExisting: { column: "apply_to_existing", rule: flag },
};

/** What stays the same writes no version. @throws Fault not-found, forbidden, invalid, conflict, precondition */
export async function changeRateCard(
  db: Db,
  principal: Principal,
  id: RateCardId,
  patch: RateCardPatch,
  options: Readonly<{ version?: number | undefined }>,
  clock: Clock,
): Promise<RateCard> {
  requireMasterChange(principal);
  checkFields(patchFields, patch);
  return inTransaction(db, async (trx) => {
    const before = await lockRateCard(trx, principal, id, clock);
    requireVersion(before, options.version);
    const { isDefault, applyToExisting, ...given } = patch;
    const changed = changedMembers<GivenTerms>(priceFields, before.terms, given);
    if (changed.currency !== undefined) {
      throw invalid("/currency", `The currency of a rate card stays ${before.terms.currency}: make another one.`);
    }
    const n = Object.keys(changed).length === 0 ? before.n : before.n + 1;
    if (n > before.n) {
      await insertVersion(trx, id, n, { ...before.terms, ...(changed as Partial<PriceTerms>) }, clock.now());
      await touch(trx, id, { current: n }, clock);
    }
    if (isDefault === true) await makeDefault(trx, principal, { ...before, n }, clock);
    if (isDefault === false && before.defaultN !== null) await touch(trx, id, { default_n: null }, clock);
    const applied = applyToExisting === true ? await applyToAll(trx, id, n, clock) : 0;
    const after = await findRateCard(trx, principal, id);
    if (after.version !== before.version || applied > 0) {
      await note(trx, principal, "rate_card.changed", [before, after], clock, applied);
    }
    return after;
  });
}

/** From now on nobody is given it; who has it keeps it. Repeating it changes nothing. @throws Fault not-found, forbidden, conflict */
export async function withdrawRateCard(db: Db, principal: Principal, id: RateCardId, clock: Clock): Promise<void> {
  requireMasterChange(principal);
  await inTransaction(db, async (trx) => {
    const card = await lockRateCard(trx, principal, id, clock);
    if (card.withdrawnAt !== null) return;
    if (card.defaultN !== null) {
      throw new Fault("conflict", "This is the default: make another one the default first, or none.");
    }
    await touch(trx, id, { withdrawn_at: clock.now() }, clock);
    await note(trx, principal, "rate_card.withdrawn", [card, null], clock);
  });
}

/** The master first, as everywhere, so that nobody waits in a circle; under its lock there is one default at most. */
async function lockRateCard(trx: Db, principal: Principal, id: RateCardId, clock: Clock): Promise<RateCard> {
  const { masterId } = await findRateCard(trx, principal, id);
  if (masterId !== null) await findMaster(trx, principal, masterId, clock, "change");
  await trx.selectFrom("rate_card").select("id").where("id", "=", id).forNoKeyUpdate().execute();
  return findRateCard(trx, principal, id);
}

async function makeDefault(trx: Db, principal: Principal, card: RateCard, clock: Clock): Promise<void> {
  const { masterId } = card;
  if (masterId === null) {
    throw invalid("/is_default", "Only a master has a default: the operator gives each master its card.");
  }
  if (card.withdrawnAt !== null) throw invalid("/is_default", "It is withdrawn.");
  await findMaster(trx, principal, masterId, clock, "change");
  const row = await selectRateCards(trx, principal)
    .where("c.master_id", "=", masterId)
    .where("c.default_n", "is not", null)
    .executeTakeFirst();
  const before = row === undefined ? undefined : rateCardOf(row);
  if (before !== undefined && before.id !== card.id) {
    await touch(trx, before.id, { default_n: null }, clock);
    const after = await findRateCard(trx, principal, before.id);
    await note(trx, principal, "rate_card.changed", [before, after], clock);
  }
  if (before?.id !== card.id || before.defaultN !== card.n) await touch(trx, card.id, { default_n: card.n }, clock);
}

/** Returns of how many accounts. Each one's terms follow by a trigger (migrations/0044). In the order of the accounts, so that no two cards wait in a circle. */
async function applyToAll(trx: Db, id: RateCardId, n: number, clock: Clock): Promise<number> {
  const now = clock.now();
  await sql`select from price_choice where rate_card_id = ${id} or next_rate_card_id = ${id} order by account_id for no key update`.execute(
    trx,
  );
  const { numAffectedRows } = await sql`
    update price_choice set n = case when rate_card_id = ${id} then ${n} else n end,
           next_n = case when next_rate_card_id = ${id} then ${n} else next_n end, version = version + 1, updated_at = ${now}
     where (rate_card_id = ${id} and n <> ${n}) or (next_rate_card_id = ${id} and next_n <> ${n})`.execute(trx);
  await trx
    .updateTable("rate_card")
    .set((eb) => ({ default_n: n, version: eb("version", "+", 1), updated_at: now }))
    .where("id", "=", id)
    .where("default_n", "<>", n)
    .execute();
  return Number(numAffectedRows);
}

async function insertVersion(trx: Db, id: RateCardId, n: number, terms: PriceTerms, now: Date): Promise<void> {
  await trx
    .insertInto("rate_card_version")
    .values({
      rate_card_id: id,
      n,
      price_minor: terms.priceMinor,
      cycle: terms.cycle,
      included_units: terms.includedUnits,
      overage_per_1000: terms.overagePer1000,
      ceiling_minor: terms.ceilingMinor,
      created_at: now,
    })
    .execute();
}

type Touch = { current: number } | { default_n: number | null } | { withdrawn_at: Date };

async function touch(trx: Db, id: RateCardId, change: Touch, clock: Clock): Promise<void> {
  await trx
    .updateTable("rate_card")
    .set((eb) => ({ ...change, updated_at: clock.now(), version: eb("version", "+", 1) }))
    .where("id", "=", id)
    .execute();
}

type Change = readonly [before: RateCard | null, after: RateCard | null];

/** `applied`: how many accounts got the newest version, besides the default's. */
async function note(trx: Db, principal: Principal, action: string, [before, after]: Change, clock: Clock, applied = 0) {
  const { id, masterId } = (after ?? before)!;
  const shown = (card: RateCard | null) =>
    card === null
      ? null
      : {
          name: card.name,
          card_version: card.n,
          ...membersOf(priceFields, card.terms),
          is_default: card.defaultN !== null,
          default_version: card.defaultN,
        };
  const target = formatId("rat", id);
  const now = shown(after);
  const change = { before: shown(before), after: now && applied > 0 ? { ...now, applied_to: applied } : now };
  await record(trx, { principal, action, target, ...change, masterId, subaccountId: null }, clock);
}
