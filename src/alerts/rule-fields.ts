/** The members of a rule that can be given, and which of them its kind has. */
import * as rule from "../accounts/fields.ts";
import { Fault, type FaultDetail } from "../platform/errors.ts";
import { type AlertKind, alertTopics, deliveries, type RuleTerms } from "./rule.ts";

/** Undefined: not given. */
export type RuleDetails = Readonly<
  { name?: string | undefined } & { [K in keyof RuleTerms]?: RuleTerms[K] | undefined }
>;

export const ruleFields = {
  name: { column: "name", rule: rule.line(200) },
  enabled: { column: "enabled", rule: rule.flag },
  topic: { column: "topic", rule: rule.oneOf(alertTopics) },
  delivery: { column: "delivery", rule: rule.orNull(rule.oneOf(deliveries)) },
  percents: { column: "percents", rule: rule.orNull(rule.alertThresholds) },
  daysBefore: { column: "days_before", rule: rule.between(1, 30) },
  factor: { column: "factor", rule: rule.between(1.5, 1000, 2) },
  minimum: { column: "minimum", rule: rule.between(100, rule.MAX_UNITS) },
} as const satisfies Record<keyof RuleDetails, rule.Field>;

const ofKind: Readonly<Partial<Record<keyof RuleDetails, AlertKind>>> = {
  percents: "threshold",
  daysBefore: "forecast",
  factor: "jump",
  minimum: "jump",
};

/** @throws Fault invalid, with every member that is wrong or that rules of this kind don't have */
export function checkRule(kind: AlertKind, details: RuleDetails): void {
  rule.checkFields(ruleFields, details);
  const mistakes: FaultDetail[] = Object.entries(ofKind)
    .filter(([name, owner]) => owner !== kind && (details[name as keyof RuleDetails] ?? null) !== null)
    .map(([name, owner]) => ({
      pointer: `/${ruleFields[name as keyof RuleDetails].column}`,
      detail: `Only rules of the kind ${owner} have this.`,
    }));
  const [first] = mistakes;
  if (first !== undefined) throw new Fault("invalid", `${first.pointer.slice(1)}: ${first.detail}`, mistakes);
}
