/**
 * The tables as Kysely sees them; migrations/*.sql is the source. Names are those of the columns.
 * A jsonb column is read as its value and written as text (`JSON.stringify`): an array would else become a Postgres array.
 */
import type { ColumnType, Generated } from "kysely";
import type {
  AccountId,
  AuditId,
  CapturedId,
  CredentialId,
  DomainId,
  EntryId,
  EventId,
  KeyId,
  MasterId,
  MessageId,
  NodeId,
  StatementId,
  SubaccountId,
  TopUpId,
} from "./ids.ts";

export type Json<T> = ColumnType<T, string, string>;
/** A column with a default that is not null. */
type JsonWithDefault<T> = ColumnType<T, string | undefined, string>;
/** A string is told everything; with topics (quota, billing, abuse, security) only those. */
export type NotificationEmail = string | { email: string; topics: string[] };

type MasterTable = {
  id: MasterId;
  name: string;
  state: Generated<"active" | "closed">;
  suspended_at: Date | null;
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
  own_subaccount_id: SubaccountId;
  created_at: Date;
  updated_at: Date;
  version: Generated<number>;
};

type SubaccountTable = {
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
  time_zone: string | null;
  plan: string | null;
  metadata: JsonWithDefault<Record<string, unknown>>;
  notes: string | null;
  closed_at: Date | null;
  created_at: Date;
  updated_at: Date;
  version: Generated<number>;
};

type CredentialTable = {
  id: CredentialId;
  subaccount_id: SubaccountId;
  master_id: MasterId;
  username: string;
  name: string | null;
  secret_hash: Buffer;
  previous_hash: Buffer | null;
  previous_until: Date | null;
  created_at: Date;
  rotated_at: Date | null;
  revoked_at: Date | null;
  last_used_at: Date | null;
};

type ApiKeyTable = {
  id: KeyId;
  master_id: MasterId;
  subaccount_id: SubaccountId | null;
  name: string;
  key_hash: Buffer;
  hint: string;
  scopes: string[];
  created_at: Date;
  revoked_at: Date | null;
  last_used_at: Date | null;
};

type AuditEntryTable = {
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

type IdempotencyTable = {
  principal: string;
  key: string;
  request_hash: Buffer;
  state: "running" | "done";
  status: number | null;
  answer: Buffer | null;
  created_at: Date;
};

type NodeTable = { id: Generated<NodeId>; hostname: string; pid: number; started_at: Date; seen_at: Date };

type UsageTable = {
  account_id: AccountId;
  period_start: Date;
  period_end: Date;
  master_id: MasterId;
  used: Generated<number>;
  cap: number | null;
  base: number | null;
  top_up: Generated<number>;
  open: boolean;
  open_until: Date | null;
  thresholds: number[];
  alert_level: Generated<number>;
  version: Generated<number>;
};

type UsageEntryTable = {
  id: MessageId | EntryId;
  master_id: MasterId;
  subaccount_id: SubaccountId;
  period_start: Date;
  units: number;
  kind: "accept" | "void" | "correction";
  corrects: MessageId | null;
  note: string | null;
  accepted_at: Date;
};

type TopUpTable = {
  id: TopUpId;
  subaccount_id: SubaccountId;
  master_id: MasterId;
  period_start: Date;
  units: number;
  note: string | null;
  created_at: Date;
};

type RefusalTable = {
  subaccount_id: SubaccountId;
  minute: Date;
  reason: string;
  master_id: MasterId;
  period_start: Date;
  messages: number;
  units: number;
  sample: ColumnType<unknown, string | null | undefined, string | null>;
  id: EventId;
};

type StatementTable = {
  id: StatementId;
  master_id: MasterId;
  period_start: Date;
  period_end: Date;
  allowance: number | null;
  cap: number | null;
  overage: "block" | "bill";
  units: number;
  messages: number;
  lines_hash: Buffer;
  chain_hash: Buffer;
  closed_at: Date;
};

type StatementLineTable = {
  statement_id: StatementId;
  subaccount_id: SubaccountId;
  name: string;
  external_id: string | null;
  monthly_limit: number | null;
  top_up: number;
  messages: number;
  units: number;
  corrections: number;
};

type AlertTable = {
  account_id: AccountId;
  period_start: Date;
  level: number;
  version: number;
  master_id: MasterId;
  used: number;
  base: number | null;
  reason: "threshold" | "refused";
  created_at: Date;
  notified_at: Date | null;
};

type MessageTable = {
  id: MessageId;
  subaccount_id: SubaccountId;
  master_id: MasterId;
  kind: "submitted" | "dsn" | "system";
  credential_id: CredentialId | null;
  sender: string;
  units: number;
  size_bytes: number;
  body_parts: Generated<number>;
  header_from: string | null;
  header_message_id: string | null;
  subject: string | null;
  envelope_id: string | null;
  ret: string | null;
  eight_bit: Generated<boolean>;
  smtp_utf8: Generated<boolean>;
  accepted_at: Date;
};

type BodyTable = { message_id: MessageId; part: number; bytes: Buffer };

type RecipientTable = {
  message_id: MessageId;
  n: number;
  address: string;
  original_recipient: string | null;
  notify: string | null;
  state: Generated<"queued" | "deferred" | "delivered" | "bounced" | "cancelled">;
  attempts: JsonWithDefault<Record<string, unknown>[]>;
  settled_at: Date | null;
};

type QueueTable = {
  message_id: MessageId;
  subaccount_id: SubaccountId;
  due_at: Date;
  owner: NodeId | null;
  attempt: Generated<number>;
  expires_at: Date;
  route: string | null;
};

type HoldTable = { subaccount_id: SubaccountId; reason: "operator" | "suspended"; held_at: Date };

type InDoubtTable = {
  subaccount_id: SubaccountId;
  size_bytes: number;
  sender: string;
  content_hash: Buffer;
  message_id: MessageId;
  until: Date;
};

type EventTable = {
  id: EventId;
  type: string;
  master_id: MasterId;
  subaccount_id: SubaccountId | null;
  message_id: MessageId | null;
  at: Date;
  data: Json<Record<string, unknown>>;
};

type SenderDomainTable = {
  id: DomainId;
  master_id: MasterId;
  subaccount_id: SubaccountId | null;
  name: string;
  state: Generated<"pending" | "verified" | "failed">;
  token: string;
  found: Generated<string[]>;
  checked_at: Date | null;
  verified_at: Date | null;
  granted_to_all: Generated<boolean>;
  created_at: Date;
  version: Generated<number>;
};

type DomainGrantTable = { domain_id: DomainId; subaccount_id: SubaccountId };

type CapturedTable = {
  id: CapturedId;
  message_id: MessageId;
  master_id: MasterId;
  subaccount_id: SubaccountId;
  sender: string;
  recipients: string[];
  size_bytes: number;
  subject: string | null;
  header_from: string | null;
  bytes: Buffer;
  captured_at: Date;
};

export type Schema = {
  master: MasterTable;
  subaccount: SubaccountTable;
  credential: CredentialTable;
  api_key: ApiKeyTable;
  audit_entry: AuditEntryTable;
  idempotency: IdempotencyTable;
  node: NodeTable;
  usage: UsageTable;
  usage_entry: UsageEntryTable;
  top_up: TopUpTable;
  refusal: RefusalTable;
  statement: StatementTable;
  statement_line: StatementLineTable;
  alert: AlertTable;
  message: MessageTable;
  body: BodyTable;
  recipient: RecipientTable;
  queue: QueueTable;
  hold: HoldTable;
  in_doubt: InDoubtTable;
  event: EventTable;
  sender_domain: SenderDomainTable;
  domain_grant: DomainGrantTable;
  captured: CapturedTable;
};
