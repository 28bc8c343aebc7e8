/** What is told of usage, to whom and how: the tables of 0024_alerts.sql and 0025_alert_rules.sql. */
import type { Generated } from "kysely";
import type { AccountId, AlertId, AlertRuleId, MasterId, MessageId, SubaccountId } from "./ids.ts";
import type { JsonWithDefault } from "./schema-columns.ts";

export type AlertTable = {
  id: Generated<AlertId>;
  account_id: AccountId;
  period_start: Date;
  level: number | null;
  version: number | null;
  master_id: MasterId;
  used: number;
  base: number | null;
  reason: "threshold" | "refused" | "forecast" | "jump";
  created_at: Date;
  notified_at: Date | null;
  data: JsonWithDefault<Record<string, unknown>>;
  delivery: "immediately" | "daily" | "weekly" | "off" | null;
  digest_at: Date | null;
};

export type AlertRuleTable = {
  id: AlertRuleId;
  master_id: MasterId;
  subaccount_id: SubaccountId | null;
  kind: "threshold" | "refusals" | "forecast" | "jump";
  name: string;
  enabled: boolean;
  topic: string;
  delivery: "immediately" | "daily" | "weekly" | null;
  percents: number[] | null;
  days_before: number | null;
  factor: number | null;
  minimum: number | null;
  created_at: Date;
  updated_at: Date;
  version: Generated<number>;
};

export type LetterTable = {
  message_id: MessageId;
  master_id: MasterId;
  recipients: string[];
  states: string[];
  sent_at: Date;
  settled_at: Date | null;
};

export type AlertLetterTable = { alert_id: AlertId; message_id: MessageId; side: "master" | "subaccount" };

export type UndeliverableEmailTable = {
  master_id: MasterId;
  email: string;
  since: Date;
  reason: string;
  message_id: MessageId;
};

/** `day` and its like as text, `2026-11-01`. */
export type UsageMarkTable = {
  account_id: AccountId;
  master_id: MasterId;
  period_start: Date;
  used: number;
  day: string;
  day_used: number;
  usual: number | null;
  jump_day: string | null;
  foreseen_day: string | null;
};
