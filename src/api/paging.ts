/** Cuts `limit + 1` rows into a page with the cursor of the next one. */

import { type CursorValue, decodeCursor, encodeCursor } from "./cursor.ts";
import type { Deps } from "./deps.ts";
import type { Call } from "./endpoint.ts";
import { DEFAULT_LIMIT } from "./fields.ts";

export type PageQuery = Readonly<{ limit?: number | undefined; cursor?: string | undefined }>;
export type Page<T> = { data: T[]; has_more: boolean; next_cursor: string | null };

export type Paging = Readonly<{
  limit: number;
  /** Where the page before ended; undefined: the first page. */
  after: readonly CursorValue[] | undefined;
  /** `position`: what the cursor of a row holds. */
  page<Row, T>(rows: readonly Row[], show: (row: Row) => T, position: (row: Row) => readonly CursorValue[]): Page<T>;
  /** Of a list that says itself where the next page starts. */
  cut<T>(found: Readonly<{ next: readonly CursorValue[] | null }>, shown: T[]): Page<T>;
}>;

export function pagingOf({ keyring }: Pick<Deps, "keyring">, call: Pick<Call, "list"> & { query: PageQuery }): Paging {
  const { limit = DEFAULT_LIMIT, cursor } = call.query;
  const cut = <T>({ next }: Readonly<{ next: readonly CursorValue[] | null }>, data: T[]): Page<T> => ({
    data,
    has_more: next !== null,
    next_cursor: next === null ? null : encodeCursor(keyring, call.list, next),
  });
  return {
    limit,
    after: cursor === undefined ? undefined : decodeCursor(keyring, call.list, cursor),
    cut,
    page(rows, show, position) {
      const shown = rows.slice(0, limit);
      const last = shown.at(-1);
      return cut({ next: rows.length > limit && last !== undefined ? position(last) : null }, shown.map(show));
    },
  };
}
