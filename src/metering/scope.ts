/**
 * What of the ledger is looked at: all of it, what belongs to one master, or what belongs to one of a master's periods. The conditions that
 * say so in SQL are made here alone.
 */
import { type RawBuilder, sql } from "kysely";
import type { MasterId } from "../platform/ids.ts";
import { daysAround } from "./kept-sums.ts";
import { idsAround } from "./ledger.ts";
import type { Period } from "./period.ts";

/** `period` null: all of the master's. */
export type Part = Readonly<{ masterId: MasterId; period: Period | null }>;
export type Scope = Part | Readonly<{ masterId: null; period: null }>;

export const EVERYTHING: Scope = { masterId: null, period: null };

export function isPart(scope: Scope): scope is Part {
  return scope.masterId !== null;
}

type Condition = RawBuilder<boolean>;
const ANY = sql<boolean>`true`;

/** On a column that holds the master's id. */
export function ofMaster({ masterId }: Scope, column = "master_id"): Condition {
  return masterId === null ? ANY : sql`${sql.ref(column)} = ${masterId}`;
}

/** On rows with master_id and period_start, in the order of the indexes on both. @param table its name in the query, where others have the columns too */
export function rowsIn(scope: Scope, table?: string): Condition {
  const column = (name: string) => (table === undefined ? name : `${table}.${name}`);
  const { period } = scope;
  if (period === null) return ofMaster(scope, column("master_id"));
  return sql`${ofMaster(scope, column("master_id"))} and ${sql.ref(column("period_start"))} = ${period.start}`;
}

/** On messages, which know no period: theirs is the one in which they were accepted. */
export function messagesIn(scope: Scope): Condition {
  const { period } = scope;
  if (period === null) return ofMaster(scope);
  const { from, to } = idsAround(period);
  return sql`${ofMaster(scope)} and id >= ${from}::uuid and id < ${to}::uuid
    and accepted_at >= ${period.start} and accepted_at < ${period.end}`;
}

/** On entry_day: the days on which entries may lie. */
export function daysIn({ period }: Scope): Condition {
  if (period === null) return ANY;
  const { first, end } = daysAround(period);
  return sql`entry_day >= ${first}::date and entry_day < ${end}::date`;
}
