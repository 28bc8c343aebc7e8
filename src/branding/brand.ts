/**
 * How an account shows itself to its people. A subaccount's own members override its master's, and those ours.
 *
 * Invariant: a sender address or host name is used only while its domain is proven by the master; else ours stands in, so
 * that nobody writes or answers under a name that he does not own.
 */
import { sql } from "kysely";
import type { Db } from "../platform/database.ts";
import { formatId, type MasterId, type SubaccountId } from "../platform/ids.ts";

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

/** Null ids: the operator's own. */
export type Branded = Readonly<{ masterId: MasterId | null; subaccountId: SubaccountId | null }>;

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

type Row = Readonly<{
  product_name: string | null;
  support_address: string | null;
  colour: string | null;
  footer: string | null;
  sender_address: string | null;
  host: string | null;
  logo_of: MasterId | SubaccountId | null;
}>;

/** Members from the nearest row that has them; addresses and hosts only under a domain that the master has proven. */
const INHERITED = sql`
  own as (
    select b.*, case when b.account_id = b.master_id then 1 else 0 end as distance,
           exists (select from sender_domain d where d.master_id = b.master_id and d.state = 'verified'
                    and b.host like any (array[d.name, '%.' || d.name])) as host_proven,
           exists (select from sender_domain d where d.master_id = b.master_id and d.state = 'verified'
                    and split_part(b.sender_address, '@', 2) like any (array[d.name, '%.' || d.name])) as sender_proven
      from brand b where b.account_id in (select * from who)
  )
  select (array_agg(product_name order by distance) filter (where product_name is not null))[1] as product_name,
         (array_agg(support_address order by distance) filter (where support_address is not null))[1] as support_address,
         (array_agg(colour order by distance) filter (where colour is not null))[1] as colour,
         (array_agg(footer order by distance) filter (where footer is not null))[1] as footer,
         (array_agg(sender_address order by distance) filter (where sender_proven))[1] as sender_address,
         (array_agg(host order by distance) filter (where host_proven))[1] as host,
         (array_agg(account_id order by distance) filter (where logo is not null))[1] as logo_of
    from own`;

export async function brandOf(db: Db, { masterId, subaccountId }: Branded, defaults: BrandDefaults): Promise<Brand> {
  const ours = ourBrand(defaults);
  if (masterId === null) return ours;
  const ids = subaccountId === null ? [masterId] : [masterId, subaccountId];
  const { rows } = await sql<Row>`with who as (select unnest(${ids}::uuid[])), ${INHERITED}`.execute(db);
  const [row] = rows;
  if (row === undefined) return ours;
  const origin = row.host === null ? ours.origin : `https://${row.host}`;
  return {
    productName: row.product_name ?? ours.productName,
    supportAddress: row.support_address,
    colour: row.colour ?? ours.colour,
    footer: row.footer,
    senderAddress: row.sender_address ?? ours.senderAddress,
    logoUrl: row.logo_of === null ? null : `${origin}/logo/${showAccount(row.logo_of, masterId)}`,
    origin,
  };
}

function showAccount(id: MasterId | SubaccountId, masterId: MasterId): string {
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
