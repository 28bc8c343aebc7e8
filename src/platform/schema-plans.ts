/** Plans, templates and what becomes of accounts: the tables of 0030_plans.sql and of the migrations after it. */
import type { Generated } from "kysely";
import type { BillingProfileId, MasterId, PlanId, SubaccountId, TemplateId, TransferId } from "./ids.ts";
import type { Json } from "./schema-columns.ts";

/** Names of features, on or off. */
export type Features = Record<string, boolean>;

export type PlanTable = {
  id: PlanId;
  master_id: MasterId;
  name: string;
  current: Generated<number>;
  withdrawn_at: Date | null;
  created_at: Date;
  updated_at: Date;
  version: Generated<number>;
};

export type PlanVersionTable = {
  plan_id: PlanId;
  n: number;
  custom_limit: boolean;
  monthly_limit: number | null;
  features: Json<Features>;
  price_minor: number | null;
  currency: string | null;
  cycle: "monthly" | "yearly";
  created_at: Date;
};

export type TemplateTable = {
  id: TemplateId;
  master_id: MasterId;
  name: string;
  settings: Json<Record<string, unknown>>;
  created_at: Date;
  updated_at: Date;
  version: Generated<number>;
};

export type BillingProfileTable = {
  id: BillingProfileId;
  master_id: MasterId;
  name: string;
  currency: string;
  cost_centre: string | null;
  address: string | null;
  is_default: boolean;
  created_at: Date;
  updated_at: Date;
  version: Generated<number>;
};

export type ExpiryNoticeTable = { subaccount_id: SubaccountId; expires_at: Date; days: number; told_at: Date };

export type MasterExpiryNoticeTable = { master_id: MasterId; expires_at: Date; days: number; told_at: Date };

export type TransferTable = {
  id: TransferId;
  kind: "move" | "standalone" | "renewal";
  subaccount_id: SubaccountId;
  from_master_id: MasterId;
  to_master_id: MasterId | null;
  state: "offered" | "accepted" | "done" | "withdrawn" | "declined" | "expired";
  offered_by: "master" | "subaccount";
  token_hash: Buffer | null;
  moved_to: SubaccountId | null;
  created_at: Date;
  expires_at: Date;
  settled_at: Date | null;
};
