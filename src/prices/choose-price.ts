/**
 * The card and the discount of an account: what the operator asks of a master, and a master of a subaccount.
 *
 * Invariant: what was chosen and what rules from it are one commit (migrations/0044). What rules from now on calls off what was to
 * come with the next period. A card's version is the one of the moment in which the card is given.
 */
import type { Selectable } from "kysely";
import { between, checkFields } from "../accounts/fields.ts";
import { findMaster, findSubaccount, type SubaccountRef } from "../accounts/find.ts";
import { requireMasterChange, requireOperator } from "../accounts/permit.ts";
import type { Principal } from "../accounts/principal.ts";
import { requireVersion } from "../accounts/version.ts";
import { record } from "../audit/record.ts";
import { type Calendar, periodAt } from "../metering/period.ts";
import type { Clock } from "../platform/clock.ts";
import type { Db } from "../platform/database.ts";
import { Fault, invalid } from "../platform/errors.ts";
import {
  type AccountId,
  formatAccount,
  formatId,
  type MasterId,
  type RateCardId,
  type SubaccountId,
} from "../platform/ids.ts";
import type { Schema } from "../platform/schema.ts";
import { inTransaction } from "../platform/transaction.ts";
import { keepRateCard, type RateCard } from "./rate-card.ts";
import { readProfile } from "./read-profile.ts";

/** Who pays: a master the operator, or a subaccount its master. */
export type Payer = Readonly<{ master: MasterId } | { subaccount: SubaccountRef }>;

export type PriceChange = Readonly<{
  /** Null: none of its own. Undefined: the one it has, in the version it has. */
  rateCardId?: RateCardId | null | undefined;
  /** Ten-thousandths that are taken off. Undefined: as before. */
  discountBp?: number | undefined;
  from: "now" | "next_period";
}>;

/** `n`: of the card. */
export type Chosen = Readonly<{ rateCardId: RateCardId | null; n: number | null; discountBp: number }>;

export type PriceChoice = Readonly<{
  now: Chosen;
  next: (Chosen & Readonly<{ at: Date }>) | null;
  /** Of the row, for If-Match; 0: nothing was chosen yet. */
  version: number;
}>;

const NOTHING: Chosen = { rateCardId: null, n: null, discountBp: 0 };

const fields = { discountBp: { column: "discount_bp", rule: between(0, 10_000) } };

/**
 * @throws Fault not-found, forbidden, invalid at /rate_card_id or /discount_bp, precondition; conflict for a master's own subaccount
 *   and a sandbox, which nobody pays for
 */
export async function choosePrice(
  db: Db,
  principal: Principal,
  payer: Payer,
  wanted: PriceChange,
  options: Readonly<{ version?: number | undefined }>,
  clock: Clock,
): Promise<void> {
  requireMasterChange(principal);
  checkFields(fields, wanted);
  await inTransaction(db, async (trx) => {
    const account = await lockPayer(trx, principal, payer, clock);
    const { rateCardId, discountBp } = wanted;
    // The card before the choice, as who gives all that have it new terms.
    const card = rateCardId == null ? undefined : await findCard(trx, account, rateCardId);
    const before = await readChoice(trx, account.id, clock.now(), "change");
    requireVersion(before, options.version);
    const base = wanted.from === "next_period" && before.next !== null ? before.next : before.now;
    const chosen: Chosen = {
      rateCardId: rateCardId === undefined ? base.rateCardId : rateCardId,
      n: card?.n ?? (rateCardId === undefined ? base.n : null),
      discountBp: discountBp ?? base.discountBp,
    };
    const at = periodAt(account.calendar, clock.now()).end;
    const later = wanted.from === "next_period";
    const after = later ? { now: before.now, next: { ...chosen, at } } : { now: chosen, next: null };
    await store(trx, principal, account, before, after, clock);
  });
}

/** Calls off what was to rule from the next period. Repeating it changes nothing. @throws Fault not-found, forbidden */
export async function cancelNextPrice(db: Db, principal: Principal, payer: Payer, clock: Clock): Promise<void> {
  requireMasterChange(principal);
  await inTransaction(db, async (trx) => {
    const account = await lockPayer(trx, principal, payer, clock);
    const before = await readChoice(trx, account.id, clock.now(), "change");
    await store(trx, principal, account, before, { now: before.now, next: null }, clock);
  });
}

/** What was chosen, as it stands at that instant. `change`: and stays so until the end of the transaction. */
export async function readChoice(
  db: Db,
  id: AccountId,
  now: Date,
  purpose: "read" | "change" = "read",
): Promise<PriceChoice> {
  const query = db.selectFrom("price_choice").selectAll().where("account_id", "=", id);
  const row = await (purpose === "change" ? query.forNoKeyUpdate() : query).executeTakeFirst();
  if (row === undefined) return { now: NOTHING, next: null, version: 0 };
  const { rate_card_id: rateCardId, n, discount_bp: discountBp, version } = row;
  const next = nextOf(row);
  if (next !== null && next.at <= now) {
    const { at: _, ...chosen } = next;
    return { now: chosen, next: null, version };
  }
  return { now: { rateCardId, n, discountBp }, next, version };
}

function nextOf(row: Selectable<Schema["price_choice"]>): PriceChoice["next"] {
  const { next_rate_card_id: rateCardId, next_n: n, next_discount_bp: discountBp, next_at: at } = row;
  return at === null || discountBp === null ? null : { rateCardId, n, discountBp, at };
}

type Account = Readonly<{
  id: AccountId;
  masterId: MasterId;
  /** Null: a master. */
  subaccountId: SubaccountId | null;
  calendar: Calendar;
  billingProfile: string | null;
}>;

async function lockPayer(trx: Db, principal: Principal, payer: Payer, clock: Clock): Promise<Account> {
  if ("master" in payer) {
    requireOperator(principal);
    const { id, calendar } = await findMaster(trx, principal, payer.master, clock, "change");
    return { id, masterId: id, subaccountId: null, calendar, billingProfile: null };
  }
  const subaccount = await findSubaccount(trx, principal, payer.subaccount, clock, "change");
  const { id, masterId, calendar, billingProfile } = subaccount;
  if (subaccount.own) throw new Fault("conflict", "The master's own sending is sold to nobody: it has no price.");
  if (subaccount.sandbox) throw new Fault("conflict", "Nobody pays for a sandbox: it has no price.");
  return { id, masterId, subaccountId: id, calendar, billingProfile };
}

/** @throws Fault invalid at /rate_card_id */
async function findCard(trx: Db, account: Account, id: RateCardId): Promise<RateCard> {
  const card = await keepRateCard(trx, account.subaccountId === null ? null : account.masterId, id);
  if (card === undefined) throw invalid("/rate_card_id", "There is no such rate card.");
  if (card.withdrawnAt !== null) throw invalid("/rate_card_id", `The rate card ${card.name} is withdrawn.`);
  const profile = account.subaccountId === null ? undefined : await readProfile(trx, account);
  if (profile !== undefined && profile.currency !== card.terms.currency) {
    const detail = `The rate card ${card.name} is in ${card.terms.currency}, the billing profile ${profile.name} in ${profile.currency}.`;
    throw invalid("/rate_card_id", detail);
  }
  return card;
}

type Choice = Omit<PriceChoice, "version">;

async function store(
  trx: Db,
  principal: Principal,
  { id, masterId, subaccountId }: Account,
  before: PriceChoice,
  after: Choice,
  clock: Clock,
): Promise<void> {
  const [was, is] = [membersOf(before), membersOf(after)];
  if (JSON.stringify(was) === JSON.stringify(is)) return;
  const { now, next } = after;
  const columns = {
    rate_card_id: now.rateCardId,
    n: now.n,
    discount_bp: now.discountBp,
    next_rate_card_id: next?.rateCardId ?? null,
    next_n: next?.n ?? null,
    next_discount_bp: next?.discountBp ?? null,
    next_at: next?.at ?? null,
    updated_at: clock.now(),
  };
  await trx
    .insertInto("price_choice")
    .values({ account_id: id, master_id: masterId, ...columns })
    .onConflict((conflict) =>
      conflict.column("account_id").doUpdateSet((eb) => ({ ...columns, version: eb("price_choice.version", "+", 1) })),
    )
    .execute();
  const target = formatAccount({ masterId, subaccountId });
  await record(trx, { principal, action: "price.set", target, before: was, after: is, masterId, subaccountId }, clock);
}

function membersOf({ now, next }: Choice): Record<string, unknown> {
  const shown = ({ rateCardId, n, discountBp }: Chosen) => ({
    rate_card_id: rateCardId === null ? null : formatId("rat", rateCardId),
    card_version: n,
    discount_bp: discountBp,
  });
  return { ...shown(now), next: next === null ? null : { ...shown(next), at: next.at.toISOString() } };
}
