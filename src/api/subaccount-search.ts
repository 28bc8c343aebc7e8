/** The parameters by which subaccounts are searched, in the list, its table, saved views and bulk changes. */
import { z } from "@hono/zod-openapi";
import { MAX_UNITS } from "../accounts/fields.ts";
import { subaccountSorts } from "../accounts/list-subaccounts.ts";
import { shownStates } from "../accounts/states.ts";
import type { SubaccountSearch } from "../accounts/subaccount-search.ts";
import { idField, instantField, line, pageParams } from "./fields.ts";
import { flagParam, numberParam, someOf, sortParam } from "./list-params.ts";
import { tableColumns } from "./subaccounts-table.ts";

const METADATA = /^metadata\.(.{1,100})$/s;

/** `metadata.key=value` beside the members of a strict object. */
function withMetadata<S extends z.ZodRawShape>(shape: S) {
  const known = new Set(Object.keys(shape));
  return z.looseObject(shape).superRefine((given, context) => {
    const unknown = Object.entries(given).filter(
      ([name, value]) => !known.has(name) && !(METADATA.test(name) && typeof value === "string" && value.length <= 200),
    );
    const keys = unknown.map(([name]) => name);
    if (keys.length > 0) context.addIssue({ code: "unrecognized_keys", keys, input: given });
  });
}

const instant = instantField.optional();
const number = numberParam(MAX_UNITS).optional();
const percent = numberParam(1_000_000).optional();

const searchShape = {
  q: line(200).optional().openapi({ description: "A part of what it is known by, or of a sender domain of its own." }),
  state: someOf(shownStates).optional(),
  plan: line(100).optional(),
  billing_profile: line(100).optional(),
  region: line(100).optional(),
  language: line(35).optional(),
  time_zone: line(64).optional(),
  external_id: line(200).optional(),
  owner_email: line(320).optional(),
  used_percent_gte: percent.openapi({ description: "Of limit and top-ups." }),
  used_percent_lte: percent.openapi({ description: "Of limit and top-ups; only those that have a limit." }),
  used_gte: number,
  used_lte: number,
  monthly_limit_gte: number,
  monthly_limit_lte: number,
  unlimited: flagParam.optional().openapi({ description: "Whether it is bounded by the master only." }),
  created_since: instant,
  created_until: instant,
  updated_since: instant,
  expires_until: instant.openapi({ description: "Its end date is before that." }),
  accepted_terms: flagParam.optional(),
  with_own: flagParam.optional().openapi({ description: "The master's own subaccount too." }),
};

/** A search alone, as it is saved or changed in bulk. */
export const searchQuery = withMetadata(searchShape);

export const listQuery = withMetadata({
  ...searchShape,
  master_id: idField("mas").optional().openapi({ description: "The operator's choice." }),
  sort: sortParam(subaccountSorts).optional(),
  columns: someOf(tableColumns)
    .optional()
    .openapi({ description: `Of the table, in that order: ${tableColumns.join(", ")}.` }),
  ...pageParams,
});

/** As the rooms take it. */
export function searchOf(query: z.output<typeof searchQuery>): SubaccountSearch {
  const metadata = Object.entries(query).flatMap(([name, value]) => {
    const member = METADATA.exec(name)?.[1];
    return member === undefined ? [] : [[member, value as string] as const];
  });
  return {
    q: query.q,
    states: query.state,
    plan: query.plan,
    billingProfile: query.billing_profile,
    region: query.region,
    language: query.language,
    timeZone: query.time_zone,
    externalId: query.external_id,
    ownerEmail: query.owner_email,
    usedPercentGte: query.used_percent_gte,
    usedPercentLte: query.used_percent_lte,
    usedGte: query.used_gte,
    usedLte: query.used_lte,
    monthlyLimitGte: query.monthly_limit_gte,
    monthlyLimitLte: query.monthly_limit_lte,
    unlimited: query.unlimited,
    createdSince: query.created_since,
    createdUntil: query.created_until,
    updatedSince: query.updated_since,
    expiresUntil: query.expires_until,
    acceptedTerms: query.accepted_terms,
    withOwn: query.with_own,
    ...(metadata.length === 0 ? {} : { metadata: Object.fromEntries(metadata) }),
  };
}
