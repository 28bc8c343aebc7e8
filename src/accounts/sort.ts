/**
 * Lists in any order, page by page: the next page starts behind the last row's sort values.
 *
 * Invariant: every sort value is never null and the id comes last, so each row has one place in the order.
 */
import { type RawBuilder, sql } from "kysely";

export type CursorValue = string | number | null;
export type Sort<Name extends string> = Readonly<{ by: Name; descending: boolean }>;

/** `next`: what to give as `after` for the page that follows; null when this is the last. */
export type Page<T> = Readonly<{ items: readonly T[]; next: readonly CursorValue[] | null }>;

const MAX_SORTS = 3;

/** `-used_percent,name`; undefined unless it names known columns, each once, at most three. */
export function parseSort<Name extends string>(text: string, names: readonly Name[]): Sort<Name>[] | undefined {
  const sorts = text
    .split(",")
    .map((part) => ({ by: part.replace(/^-/, "") as Name, descending: part.startsWith("-") }));
  const known = sorts.every(({ by }) => names.includes(by)) && sorts.length <= MAX_SORTS;
  return known && new Set(sorts.map(({ by }) => by)).size === sorts.length ? sorts : undefined;
}

export type SortColumn = Readonly<{ expression: RawBuilder<unknown>; descending: boolean }>;

export function orderBy(columns: readonly SortColumn[]): RawBuilder<unknown> {
  return sql.join(columns.map(({ expression, descending }) => (descending ? sql`${expression} desc` : expression)));
}

/** Rows behind the given values in that order. One comparison of rows where all go the same way, so an index serves. */
export function behind(columns: readonly SortColumn[], values: readonly CursorValue[]): RawBuilder<boolean> {
  const expressions = columns.map(({ expression }) => expression);
  const first = columns[0]?.descending ?? false;
  if (columns.every(({ descending }) => descending === first)) {
    const operator = first ? sql`<` : sql`>`;
    return sql`(${sql.join(expressions)}) ${operator} (${sql.join(values)})`;
  }
  const steps = columns.map(({ expression, descending }, i) => {
    const equal = expressions.slice(0, i).map((one, j) => sql`${one} = ${values[j]}`);
    const further = descending ? sql`${expression} < ${values[i]}` : sql`${expression} > ${values[i]}`;
    return sql`(${sql.join([...equal, further], sql` and `)})`;
  });
  return sql`(${sql.join(steps, sql` or `)})`;
}
