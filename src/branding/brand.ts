/**
 * How an account shows itself to its people. A subaccount's own members override its master's, and those ours.
 *
 * Invariant: a sender address or host name is used only while its domain is proven by the master (or by the subaccount
 * itself); else ours stands in, so that nobody writes or answers under a name that he does not own.
 */
import type { Db } from "../platform/database.ts";
import { type AccountId, formatId, type MasterId, type SubaccountId } from "../platform/ids.ts";
import { type Branded, type BrandRow, readRows } from "./rows.ts";

export type { Branded } from "./rows.ts";

export type Brand = Readonly<{
  productName: string;
  /** Where people are helped: the master's, as a rule. */
  supportAddress: string | null;
  /** `#rrggbb` */
  colour: string;
  footer: string | null;
  /** From of system mails. */
  senderAddress: string;
  logoUrl: string | null;
  /** Base of links, without a slash at the end. */
  origin: string;
}>;

/** What stands where nobody has chosen. */
export type BrandDefaults = Readonly<{ publicUrl: string; systemFrom: string }>;

export const PRODUCT = "Postmeter";
export const COLOUR = "#1f4e79";

export function ourBrand(defaults: BrandDefaults): Brand {
  return {
    productName: PRODUCT,
    supportAddress: null,
    colour: COLOUR,
    footer: null,
    senderAddress: defaults.systemFrom,
    logoUrl: null,
    origin: defaults.publicUrl,
  };
}

/** A member with whoever chose it. */
export type Chosen<T> = Readonly<{ value: T; from: "subaccount" | "master" | "default" }>;

/** The nearest row that has it; `fallback` where none has. */
export function choose<T>(rows: readonly BrandRow[], of: (row: BrandRow) => T | null, fallback: T): Chosen<T> {
  for (const row of rows) {
    const value = of(row);
    if (value !== null) return { value, from: row.accountId === row.masterId ? "master" : "subaccount" };
  }
  return { value: fallback, from: "default" };
}

/** What a row gives to be used, null for a name that is not proven. */
export const senderInUse = (row: BrandRow): string | null => (row.senderProven ? row.senderAddress : null);
export const hostInUse = (row: BrandRow): string | null => (row.hostProven ? row.host : null);
export const logoPath = (row: BrandRow): string | null =>
  row.logo === null ? null : `/logo/${showAccount(row.accountId, row.masterId)}`;

export async function brandOf(db: Db, of: Branded, defaults: BrandDefaults): Promise<Brand> {
  const rows = await readRows(db, of);
  const ours = ourBrand(defaults);
  const host = choose<string | null>(rows, hostInUse, null).value;
  const origin = host === null ? ours.origin : `https://${host}`;
  const logo = choose<string | null>(rows, logoPath, null).value;
  return {
    productName: choose(rows, (row) => row.productName, ours.productName).value,
    supportAddress: choose(rows, (row) => row.supportAddress, ours.supportAddress).value,
    colour: choose(rows, (row) => row.colour, ours.colour).value,
    footer: choose(rows, (row) => row.footer, ours.footer).value,
    senderAddress: choose(rows, senderInUse, ours.senderAddress).value,
    logoUrl: logo === null ? null : `${origin}${logo}`,
    origin,
  };
}

/** `mas_...` or `sub_...` */
export function showAccount(id: AccountId, masterId: MasterId): string {
  return id === masterId ? formatId("mas", masterId) : formatId("sub", id as SubaccountId);
}

/** Black or white, whichever reads better on the colour (WCAG relative luminance). */
export function inkOn(colour: string): "#000000" | "#ffffff" {
  const [r = 0, g = 0, b = 0] = [1, 3, 5]
    .map((at) => Number.parseInt(colour.slice(at, at + 2), 16) / 255)
    .map((part) => (part <= 0.03928 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4));
  const luminance = 0.2126 * r + 0.7152 * g + 0.0722 * b;
  return luminance > 0.179 ? "#000000" : "#ffffff";
}
