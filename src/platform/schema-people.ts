/** How accounts show themselves, and who logs in: the tables of 0017_branding.sql and 0018_people.sql. */
import type { Generated } from "kysely";
import type { AccountId, MasterId } from "./ids.ts";

export type BrandTable = {
  account_id: AccountId;
  master_id: MasterId;
  product_name: string | null;
  support_address: string | null;
  colour: string | null;
  footer: string | null;
  sender_address: string | null;
  logo: Buffer | null;
  logo_type: "image/png" | "image/jpeg" | "image/webp" | null;
  host: string | null;
  certificate: string | null;
  certificate_key: Buffer | null;
  updated_at: Date;
  version: Generated<number>;
};
