/**
 * Which subaccounts of a list are asked for, as conditions on their rows `s`, their masters' `m`, and the usage row `u` of the
 * running period.
 *
 * Invariant: a condition narrows; whose subaccounts may be seen at all is the list's matter.
 */
import { type RawBuilder, sql } from "kysely";
import type { Master } from "./account.ts";
import { percentOfCap } from "./most-used.ts";
import { type ShownState, shownStates } from "./states.ts";

export type SubaccountSearch = Readonly<{
  /** A part of name, slug, owner's name or e-mail, external id, or of a sender domain. */
  q?: string | undefined;
  states?: readonly ShownState[] | undefined;
  plan?: string | undefined;
  billingProfile?: string | undefined;
  region?: string | undefined;
  language?: string | undefined;
  timeZone?: string | undefined;
  externalId?: string | undefined;
  ownerEmail?: string | undefined;
  usedPercentGte?: number | undefined;
  usedPercentLte?: number | undefined;
  usedGte?: number | undefined;
  usedLte?: number | undefined;
  monthlyLimitGte?: number | undefined;
  monthlyLimitLte?: number | undefined;
  /** True: those without a limit of their own. */
  unlimited?: boolean | undefined;
  /** From that instant on; `...Until`: before it. */
  createdSince?: Date | undefined;
  createdUntil?: Date | undefined;
  updatedSince?: Date | undefined;
  expiresUntil?: Date | undefined;
  acceptedTerms?: boolean | undefined;
  /** Each of these members of its metadata, with that value as text. */
  metadata?: Readonly<Record<string, string>> | undefined;
  /** The master's own too; without it only customers. */
  withOwn?: boolean | undefined;
}>;

export const used = sql`coalesce(u.used, 0)`;
export const cap = sql`coalesce(u.cap, s.monthly_limit)`;
export const percent = sql`coalesce(${used}::float8 * 100 / nullif(${cap}, 0), -1)`;
/** Above every limit, as the index of the order by limits has it. */
export const NO_LIMIT = 9_000_000_000_000_000;
export const remaining = sql`greatest(0, coalesce(${cap}, ${sql.lit(NO_LIMIT)}) - ${used})`;

type Conditions = RawBuilder<boolean>[];
type Asked = Exclude<keyof SubaccountSearch, "q" | "states" | "withOwn">;

/** Texts are compared without case, as the indexes of their orders have them. */
const same = (column: string) => (value: string) => [
  sql<boolean>`lower(coalesce(${sql.ref(`s.${column}`)}, '')) = ${value.toLowerCase()}`,
];
const from = (of: RawBuilder<unknown>) => (value: number | Date) => [sql<boolean>`${of} >= ${value}`];
const upTo = (of: RawBuilder<unknown>) => (value: number) => [sql<boolean>`${of} <= ${value}`];
const before = (of: RawBuilder<unknown>) => (value: Date) => [sql<boolean>`${of} < ${value}`];
const isThere = (of: RawBuilder<unknown>, wanted: boolean) => [
  wanted ? sql<boolean>`${of} is not null` : sql<boolean>`${of} is null`,
];

/** What each member of a search says of the rows. */
const meanings: { readonly [K in Asked]: (value: NonNullable<SubaccountSearch[K]>) => Conditions } = {
  plan: same("plan"),
  billingProfile: same("billing_profile"),
  region: same("region"),
  language: same("language"),
  timeZone: same("time_zone"),
  ownerEmail: same("owner_email"),
  externalId: (value) => [sql`s.external_id = ${value}`],
  usedPercentGte: (value) => [
    ...from(percent)(value),
    // Above 0 there is a usage row; said of that row alone, it lets the planner know how many there are.
    ...(value > 0 ? from(percentOfCap)(value) : []),
  ],
  usedPercentLte: (value) => [sql`${percent} between 0 and ${value}`],
  usedGte: from(used),
  usedLte: upTo(used),
  monthlyLimitGte: from(sql`s.monthly_limit`),
  monthlyLimitLte: upTo(sql`s.monthly_limit`),
  unlimited: (value) => isThere(sql`s.monthly_limit`, !value),
  createdSince: from(sql`s.created_at`),
  createdUntil: before(sql`s.created_at`),
  updatedSince: from(sql`s.updated_at`),
  expiresUntil: before(sql`s.expires_at`),
  acceptedTerms: (value) => isThere(sql`s.accepted_terms_at`, value),
  metadata: (value) => Object.entries(value).map(([name, text]) => holds(name, text)),
};

function narrowing(search: SubaccountSearch): Conditions {
  return (Object.keys(meanings) as Asked[]).flatMap((name) => {
    const meaning = meanings[name] as (value: unknown) => Conditions;
    return search[name] === undefined ? [] : meaning(search[name]);
  });
}

/** Whether some of a master's customers may be left out. */
export function narrows(search: SubaccountSearch): boolean {
  return (search.q ?? "") !== "" || search.states !== undefined || narrowing(search).length > 0;
}

export function conditions(search: SubaccountSearch, master: Master | undefined): Conditions {
  const all = narrowing(search);
  if (!search.withOwn) all.push(sql`m.own_subaccount_id <> s.id`);
  if (search.states !== undefined) {
    const ranks = search.states.map((state) => shownStates.indexOf(state));
    all.push(sql`${shownRank()} = any(${ranks}::int[])`, ...ownStates(search.states));
  }
  const q = (search.q ?? "").toLowerCase().replaceAll("\0", "");
  if (q !== "") all.push(contains(q, master));
  return all;
}

/** A value in a query is text; a number, a truth or null in the metadata is meant, too. */
function holds(name: string, text: string): RawBuilder<boolean> {
  const plain = /^(?:true|false|null|-?\d{1,15}(?:\.\d{1,15})?)$/.test(text) ? [JSON.parse(text)] : [];
  const forms = [text, ...plain].map(
    (value) => sql<boolean>`s.metadata @> ${JSON.stringify({ [name]: value })}::jsonb`,
  );
  return sql`(${sql.join(forms, sql` or `)})`;
}

/** What a shown state says of the account's own, so that an index finds the few: no clock and no master brings these about. */
function ownStates(states: readonly ShownState[]): RawBuilder<boolean>[] {
  const own: readonly ShownState[] = ["pending", "active", "disabled", "archived"];
  if (!states.every((state) => own.includes(state))) return [];
  const among = sql<boolean>`s.state = any(${[...states]}::text[])`;
  return states.includes("active") ? [among] : [among, sql`s.state <> 'active'`];
}

function contains(q: string, master: Master | undefined): RawBuilder<boolean> {
  const pattern = `%${q.replace(/[\\%_]/g, "\\$&")}%`;
  const within = master === undefined ? sql`` : sql`and d.master_id = ${master.id}`;
  return sql`(searched(s) like ${pattern} or s.id = any(array(
    select d.subaccount_id from sender_domain d where d.subaccount_id is not null ${within} and position(${q}::text in d.name) > 0)))`;
}

/** states.ts's shownState in SQL: the index in shownStates of the strongest. */
export function shownRank(): RawBuilder<number> {
  const rank = (state: ShownState) => sql.lit(shownStates.indexOf(state));
  const flags = (
    row: string,
  ) => sql`case when ${sql.ref(`${row}.suspended_at`)} is not null then ${rank("suspended")} else 0 end,
    case when ${sql.ref(`${row}.expires_at`)} <= pm_now() then ${rank("expired")} else 0 end`;
  const own = sql`array_position(${sql.lit(`{${shownStates.join()}}`)}::text[], s.state) - 1`;
  return sql`greatest(${own}, case when m.state = 'closed' then ${rank("closed")} else 0 end, ${flags("s")}, ${flags("m")})`;
}
