/** What an account pays by, as the API, the CLI and the portal show it: now, from the next period, and before. */
import type { Master, Subaccount } from "../accounts/account.ts";
import { findMaster, findSubaccount } from "../accounts/find.ts";
import type { Principal } from "../accounts/principal.ts";
import type { Clock } from "../platform/clock.ts";
import type { Db } from "../platform/database.ts";
import { notFound } from "../platform/errors.ts";
import type { AccountId, MasterId } from "../platform/ids.ts";
import { type Payer, type PriceChoice, readChoice } from "./choose-price.ts";
import type { Segment } from "./fees.ts";
import { readProfile } from "./read-profile.ts";
import { readTerms } from "./read-segments.ts";
import { segmentsOf } from "./segments.ts";

export type Price = Readonly<{
  choice: PriceChoice;
  /** Null: no price. */
  now: Segment | null;
  /** The one that is to come; null also where the price ends with the period: `now.until` says so. */
  next: Segment | null;
  /** What there was and is known to come, newest first, at most MAX_HISTORY; between them there was no price. */
  history: readonly Segment[];
  /** Of the billing profile that a subaccount's bill stands under; null: of none, or a master. */
  profileCurrency: string | null;
}>;

/** Whoever changes a price more often reads the rest on statements. */
const MAX_HISTORY = 1000;

/** @throws Fault not-found, also for a subaccount that asks: prices are its master's to see */
export async function readPrice(db: Db, principal: Principal, payer: Payer, clock: Clock): Promise<Price> {
  if (principal.kind === "subaccount") throw notFound("price");
  const found = await findPayer(db, principal, payer, clock);
  const account = payerOf(found);
  const segments = await readSegments(db, account, null);
  const now = clock.now();
  return {
    choice: await readChoice(db, account.id, now),
    now: segments.find((one) => one.from <= now && (one.until === null || one.until > now)) ?? null,
    next: segments.find((one) => one.from > now) ?? null,
    history: segments.slice(-MAX_HISTORY).toReversed(),
    profileCurrency: await profileCurrencyOf(db, found),
  };
}

/** `bornAt`: null of a master. */
export type PayerFound = Readonly<{ id: AccountId; masterId: MasterId; bornAt: Date | null; priced: boolean }>;

function findPayer(db: Db, principal: Principal, payer: Payer, clock: Clock): Promise<Master | Subaccount> {
  if ("master" in payer) return findMaster(db, principal, payer.master, clock);
  return findSubaccount(db, principal, payer.subaccount, clock);
}

/** Null: of no profile, or a master. */
export async function profileCurrencyOf(db: Db, account: Master | Subaccount): Promise<string | null> {
  return "masterId" in account ? ((await readProfile(db, account))?.currency ?? null) : null;
}

export function payerOf(account: Master | Subaccount): PayerFound {
  if (!("masterId" in account)) return { id: account.id, masterId: account.id, bornAt: null, priced: true };
  const { id, masterId, createdAt, own, sandbox } = account;
  return { id, masterId, bornAt: createdAt, priced: !own && !sandbox };
}

/** What ruled and is known to rule of one account; what begins at `until` or later is left out. */
export async function readSegments(db: Db, account: PayerFound, until: Date | null): Promise<Segment[]> {
  const { id, masterId, bornAt, priced } = account;
  if (!priced) return [];
  const { own, defaults } = await readTerms(db, masterId, [id], until);
  return segmentsOf(own.get(id) ?? [], bornAt, defaults);
}
