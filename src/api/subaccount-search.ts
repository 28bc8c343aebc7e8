/** The parameters by which subaccounts are searched, in the list, its table, saved views and bulk changes. */
import { z } from "@hono/zod-openapi";
import { MAX_UNITS } from "../accounts/fields.ts";
import { subaccountSorts } from "../accounts/list-subaccounts.ts";
import type { SavedView } from "../accounts/saved-views.ts";
import { shownStates } from "../accounts/states.ts";
import type { SubaccountSearch } from "../accounts/subaccount-search.ts";
import { idField, instantField, line, pageParams } from "./fields.ts";
import { flagParam, numberParam, someOf, sortParam } from "./list-params.ts";
import { tableColumns } from "./subaccounts-table.ts";
import { read } from "./validate.ts";

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

/** In a body: members as the parameters are named, their values as text, numbers or truths. */
export const searchBody = z
  .record(z.string(), z.union([z.string().max(320), z.number(), z.boolean()]))
  .superRefine((given, context) => {
    const { error } = searchQuery.safeParse(textsOf(given));
    for (const issue of error?.issues ?? []) context.addIssue({ ...issue } as Parameters<typeof context.addIssue>[0]);
  })
  .openapi({
    description: "As the parameters of GET /v1/subaccounts.",
    example: { state: "active", used_percent_gte: 80, "metadata.tier": "a" },
  });

/** As they would stand in a query. */
export function textsOf(given: z.output<typeof searchBody>): Record<string, string> {
  return Object.fromEntries(Object.entries(given).map(([name, value]) => [name, String(value)]));
}

export const listQuery = withMetadata({
  ...searchShape,
  master_id: idField("mas").optional().openapi({ description: "The operator's choice." }),
  sort: sortParam(subaccountSorts).optional(),
  columns: someOf(tableColumns)
    .optional()
    .openapi({ description: `Of the table, in that order: ${tableColumns.join(", ")}.` }),
  view: idField("view")
    .optional()
    .openapi({ description: "A saved view: its search, order and columns, where none are given here." }),
  ...pageParams,
});
export type ListQuery = z.output<typeof listQuery>;

/**
 * With what the saved view says where the query says nothing. Columns are the table's: they mean nothing to the list.
 * @throws Problem invalid when a newer program has no such parameter any more
 */
export function withView(query: ListQuery, view: SavedView): ListQuery {
  const { filter, sort, columns } = view;
  const saved = {
    ...filter,
    ...(sort === null ? {} : { sort }),
    ...(columns === null ? {} : { columns: columns.join() }),
  };
  return { ...read(listQuery, saved), ...query };
}

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
