/** What was accepted, what became of it, and who may send as whom: the tables of 0003_spool.sql. */
import type { Generated } from "kysely";
import type { CapturedId, CredentialId, DomainId, EventId, MasterId, MessageId, NodeId, SubaccountId } from "./ids.ts";
import type { Json, JsonWithDefault } from "./schema-columns.ts";

export type MessageTable = {
  id: MessageId;
  subaccount_id: SubaccountId;
  master_id: MasterId;
  kind: "submitted" | "dsn" | "system";
  credential_id: CredentialId | null;
  sandbox: boolean | null;
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

export type BodyTable = { message_id: MessageId; part: number; bytes: Buffer };

export type RecipientTable = {
  message_id: MessageId;
  n: number;
  address: string;
  original_recipient: string | null;
  notify: string | null;
  state: Generated<"queued" | "deferred" | "delivered" | "bounced" | "cancelled">;
  attempts: JsonWithDefault<Record<string, unknown>[]>;
  settled_at: Date | null;
};

export type QueueTable = {
  message_id: MessageId;
  subaccount_id: SubaccountId;
  due_at: Date;
  owner: NodeId | null;
  attempt: Generated<number>;
  expires_at: Date;
  route: string | null;
};

export type HoldTable = { subaccount_id: SubaccountId; cause: Generated<string>; held_at: Date };

export type InDoubtTable = {
  subaccount_id: SubaccountId;
  size_bytes: number;
  sender: string;
  content_hash: Buffer;
  message_id: MessageId;
  added_bytes: Generated<number>;
  until: Date;
};

export type EventTable = {
  id: EventId;
  type: string;
  master_id: MasterId;
  subaccount_id: SubaccountId | null;
  message_id: MessageId | null;
  at: Date;
  data: Json<Record<string, unknown>>;
};

export type SenderDomainTable = {
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
  failing_since: Date | null;
  created_at: Date;
  version: Generated<number>;
};

export type DomainGrantTable = { domain_id: DomainId; subaccount_id: SubaccountId };

export type CapturedTable = {
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
