/**
 * What accounts have chosen of their brands, and which of the names in it are theirs.
 *
 * Invariant: whether a name is proven is asked of the database each time, in the statement that reads the name.
 */
import { sql } from "kysely";
import type { Db } from "../platform/database.ts";
import type { AccountId, MasterId, SubaccountId } from "../platform/ids.ts";

export type LogoType = "image/png" | "image/jpeg" | "image/webp";

export type BrandRow = Readonly<{
  accountId: AccountId;
  masterId: MasterId;
  productName: string | null;
  supportAddress: string | null;
  colour: string | null;
  footer: string | null;
  senderAddress: string | null;
  /** The domain of `senderAddress` is proven by the master, or by the subaccount itself. */
  senderProven: boolean;
  host: string | null;
  hostProven: boolean;
  logo: Readonly<{ type: LogoType; sizeBytes: number }> | null;
  /** PEM; the key stays where it is. */
  certificate: string | null;
  updatedAt: Date;
  version: number;
}>;

/** Null ids: the operator's own. */
export type Branded = Readonly<{ masterId: MasterId | null; subaccountId: SubaccountId | null }>;

/** The nearest first: the subaccount's, then its master's, as far as there are any. */
export async function readRows(db: Db, { masterId, subaccountId }: Branded): Promise<BrandRow[]> {
  if (masterId === null) return [];
  const ids = subaccountId === null ? [masterId] : [masterId, subaccountId];
  const { rows } = await sql<BrandRow>`
    select b.account_id as "accountId", b.master_id as "masterId", b.product_name as "productName",
           b.support_address as "supportAddress", b.colour, b.footer, b.sender_address as "senderAddress",
           brand_name_proven(substring(b.sender_address from '[^@]*$'), b.master_id, b.account_id) as "senderProven",
           b.host, brand_name_proven(b.host, b.master_id, b.account_id) as "hostProven",
           case when b.logo is not null then
             json_build_object('type', b.logo_type, 'sizeBytes', octet_length(b.logo)) end as logo,
           b.certificate, b.updated_at as "updatedAt", b.version
      from brand b
     where b.account_id = any(${ids}::uuid[]) and b.master_id = ${masterId}
     order by b.account_id = b.master_id`.execute(db);
  return rows;
}
