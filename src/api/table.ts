/**
 * A table for spreadsheets, read page by page while the client takes it, so that neither memory nor a snapshot grows with its rows.
 *
 * On failure: the client is cut off in the middle, so that nobody takes a part for the whole; the log says why.
 */
import type { Log } from "../platform/log.ts";

/** `next`: where the next page begins; null: this was the last. */
export type TablePage<Position> = Readonly<{ rows: string; next: Position | null }>;

/** `first` is read before anything is sent, so that a mistake is answered as one. */
export async function* tableOf<Position>(
  header: string,
  first: TablePage<Position>,
  readNext: (after: Position) => Promise<TablePage<Position>>,
  log: Log,
): AsyncGenerator<string> {
  try {
    yield header;
    for (let page = first; ; page = await readNext(page.next)) {
      yield page.rows;
      if (page.next === null) return;
    }
  } catch (error) {
    log.error({ event: "api.table_failed", err: error }, "a table was cut off");
    throw error;
  }
}
