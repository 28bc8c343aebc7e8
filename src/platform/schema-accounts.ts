/** Who may send, and who pays: the tables of 0001_accounts.sql. */
import type { ColumnType, Generated } from "kysely";
import type { AuditId, CredentialId, KeyId, MasterId, NodeId, PlanId, SubaccountId } from "./ids.ts";
import type { ContactPolicy, Json, JsonWithDefault, NotificationEmail } from "./schema-columns.ts";
import type { CredentialLimitColumns, MasterLimitColumns, SubaccountLimitColumns } from "./schema-limits.ts";
import type { Features } from "./schema-plans.ts";

export type MasterTable = MasterLimitColumns & {
  id: MasterId;
  name: string;
  state: Generated<"active" | "closed">;
  suspended_at: Date | null;
  closed_at: Date | null;
  expires_at: Date | null;
  allowance: number | null;
  overage: Generated<"block" | "bill">;
  ceiling_factor: Generated<number>;
  anchor_day: Generated<number>;
  time_zone: Generated<string>;
  next_anchor_day: number | null;
  next_time_zone: string | null;
  calendar_changes_at: Date | null;
  sender_policy: Generated<"verified" | "any">;
  strict_allocation: Generated<boolean>;
  notification_emails: Json<NotificationEmail[]>;
  alert_thresholds: Generated<number[]>;
  alert_delivery: Generated<"immediately" | "daily" | "weekly">;
  alert_urgent_immediately: Generated<boolean>;
  raise_link_max_percent: Generated<number>;
  language: string | null;
  enforce_2fa: Generated<boolean>;
  own_subaccount_id: SubaccountId;
  contact_policy: JsonWithDefault<ContactPolicy>;
  created_at: Date;
  updated_at: Date;
  version: Generated<number>;
};

export type SubaccountTable = SubaccountLimitColumns & {
  id: SubaccountId;
  master_id: MasterId;
  name: string;
  slug: string;
  state: Generated<"pending" | "active" | "disabled" | "closed" | "archived">;
  state_before: "pending" | "active" | "disabled" | "closed" | null;
  suspended_at: Date | null;
  expires_at: Date | null;
  public_message: string | null;
  monthly_limit: number | null;
  owner_name: string | null;
  owner_email: string | null;
  notification_emails: ColumnType<NotificationEmail[] | null, string | null | undefined, string | null>;
  alert_thresholds: number[] | null;
  external_id: string | null;
  region: string | null;
  language: string | null;
  enforce_2fa: Generated<boolean>;
  time_zone: string | null;
  plan: string | null;
  plan_id: PlanId | null;
  plan_version: number | null;
  features: JsonWithDefault<Features>;
  next_plan_id: PlanId | null;
  next_plan_version: number | null;
  next_monthly_limit: number | null;
  next_plan_at: Date | null;
  sandbox: Generated<boolean>;
  moved_to: SubaccountId | null;
  moved_from: SubaccountId | null;
  erased_at: Date | null;
  purged_at: Date | null;
  metadata: JsonWithDefault<Record<string, unknown>>;
  notes: string | null;
  accepted_terms_at: Date | null;
  billing_profile: string | null;
  closed_at: Date | null;
  created_at: Date;
  updated_at: Date;
  version: Generated<number>;
};

export type CredentialTable = CredentialLimitColumns & {
  id: CredentialId;
  subaccount_id: SubaccountId;
  master_id: MasterId;
  username: string;
  name: string | null;
  sandbox: Generated<boolean>;
  secret_hash: Buffer;
  previous_hash: Buffer | null;
  previous_until: Date | null;
  created_at: Date;
  rotated_at: Date | null;
  revoked_at: Date | null;
  last_used_at: Date | null;
};

export type ApiKeyTable = {
  id: KeyId;
  master_id: MasterId;
  subaccount_id: SubaccountId | null;
  name: string;
  key_hash: Buffer;
  hint: string;
  scopes: string[];
  networks: Generated<string[]>;
  expires_at: Date | null;
  replaced_by: KeyId | null;
  created_at: Date;
  revoked_at: Date | null;
  last_used_at: Date | null;
};

export type AuditEntryTable = {
  id: AuditId;
  at: Date;
  master_id: MasterId | null;
  subaccount_id: SubaccountId | null;
  actor_kind: "operator" | "master" | "subaccount" | "system" | "cli";
  actor_id: string | null;
  acting_for: string | null;
  action: string;
  target: string;
  before: ColumnType<unknown, string | null | undefined, never>;
  after: ColumnType<unknown, string | null | undefined, never>;
};

export type IdempotencyTable = {
  principal: string;
  key: string;
  request_hash: Buffer;
  state: "running" | "done";
  status: number | null;
  answer: Buffer | null;
  created_at: Date;
};

export type NodeTable = { id: Generated<NodeId>; hostname: string; pid: number; started_at: Date; seen_at: Date };

/** Unlogged: empty after a crash. */
export type LockoutTable = {
  key: Buffer;
  failures: number;
  locked_until: Date | null;
  expires_at: Date;
  master_id: MasterId | null;
  subaccount_id: SubaccountId | null;
  name: string | null;
  network: string | null;
};
