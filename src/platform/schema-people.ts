/** How accounts show themselves, and who logs in: the tables of 0017_branding.sql and 0018_people.sql. */
import type { ColumnType, Generated } from "kysely";
import type { AccountId, LinkId, MasterId, MemberId, PersonId, SessionId, SubaccountId } from "./ids.ts";
import type { JsonWithDefault } from "./schema-columns.ts";

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
  certificate_ends_at: Date | null;
  certificate_told: number | null;
  updated_at: Date;
  version: Generated<number>;
};

export type Role = "owner" | "admin" | "developer" | "billing" | "viewer";

export type PersonTable = {
  id: PersonId;
  email: string;
  name: string | null;
  password_hash: string | null;
  password_temporary: Generated<boolean>;
  totp_secret: Buffer | null;
  totp_confirmed_at: Date | null;
  totp_step: number | null;
  recovery_hashes: Generated<Buffer[]>;
  language: string | null;
  time_zone: string | null;
  created_at: Date;
  updated_at: Date;
};

export type MemberTable = {
  id: MemberId;
  person_id: PersonId;
  master_id: MasterId | null;
  subaccount_id: SubaccountId | null;
  role: Role;
  invited_at: Date;
  accepted_at: Date | null;
  removed_at: Date | null;
};

export type LinkPurpose = "invite" | "reset" | "log_in_as" | "raise";

export type LinkTable = {
  id: LinkId;
  purpose: LinkPurpose;
  token_hash: Buffer;
  master_id: MasterId | null;
  subaccount_id: SubaccountId | null;
  person_id: PersonId | null;
  member_id: MemberId | null;
  data: JsonWithDefault<Record<string, unknown>>;
  created_at: Date;
  expires_at: Date;
  used_at: Date | null;
  voided_at: Date | null;
};

/** Who acts for an account: a key or a member of its master, or the operator. */
export type Acting = Readonly<{
  by: "master" | "operator";
  key_id?: string;
  member_id?: string;
  reason: string;
  read_only: boolean;
}>;

export type SessionTable = {
  id: SessionId;
  token_hash: Buffer;
  person_id: PersonId | null;
  member_id: MemberId | null;
  master_id: MasterId | null;
  subaccount_id: SubaccountId | null;
  acting: ColumnType<Acting | null, string | null | undefined, never>;
  network: string | null;
  user_agent: string | null;
  created_at: Date;
  seen_at: Date;
  expires_at: Date;
  ended_at: Date | null;
};
