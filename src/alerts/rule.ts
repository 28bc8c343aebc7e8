/**
 * What is told of an account, and how: a rule for each kind of alert. An account's own rule of a kind stands in place of its
 * master's, and that in place of the default.
 */
import { topics } from "../accounts/fields.ts";

/**
 * `threshold`: a percentage of alert_thresholds was crossed. `refusals`: the first message that a limit refused in a period.
 * `forecast`: 100 % is expected within so many days. `jump`: a day brings far more than is usual on it.
 */
export const alertKinds = ["threshold", "refusals", "forecast", "jump"] as const;
export type AlertKind = (typeof alertKinds)[number];

export const deliveries = ["immediately", "daily", "weekly"] as const;
export type Delivery = (typeof deliveries)[number];

/** Of the notification e-mails: who wants to hear of it. */
export const alertTopics = topics;
export type AlertTopic = (typeof topics)[number];

/** Members of another kind are null. */
export type RuleTerms = Readonly<{
  enabled: boolean;
  topic: AlertTopic;
  /** Null: as the master has chosen for all. */
  delivery: Delivery | null;
  /** threshold: only these of alert_thresholds; null: all. */
  percents: readonly number[] | null;
  /** forecast */
  daysBefore: number | null;
  /** jump: so many times what is usual. */
  factor: number | null;
  /** jump: and at least so many units in the day. */
  minimum: number | null;
}>;

const plain = { enabled: true, topic: "quota", delivery: null, percents: null } as const;
const none = { daysBefore: null, factor: null, minimum: null } as const;

export const defaultRules: Readonly<Record<AlertKind, RuleTerms>> = {
  threshold: { ...plain, ...none },
  refusals: { ...plain, ...none },
  forecast: { ...plain, ...none, daysBefore: 3 },
  jump: { ...plain, ...none, topic: "security", factor: 5, minimum: 500 },
};

export function kindOf(reason: "threshold" | "refused" | "forecast" | "jump"): AlertKind {
  return reason === "refused" ? "refusals" : reason;
}
