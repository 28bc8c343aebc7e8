/** Refusals as a table for spreadsheets: all that match, newest first. Of one principal's reach, like the list. */
import type { Principal } from "../accounts/principal.ts";
import { listRefusals, type RefusalCount, type RefusalFilter } from "../metering/list-refusals.ts";
import type { Clock } from "../platform/clock.ts";
import { csvRow, csvText } from "../platform/csv.ts";
import type { Db } from "../platform/database.ts";
import type { EventId } from "../platform/ids.ts";
import type { Log } from "../platform/log.ts";
import type { Content } from "./endpoint.ts";
import { showId } from "./fields.ts";
import { type TablePage, tableOf } from "./table.ts";

type Cell = string | number;

const text = (value: string | undefined): string => (value === undefined ? "" : csvText(value));

const cells = {
  minute: ({ minute }) => minute.toISOString(),
  subaccount_id: ({ subaccountId }) => showId("sub", subaccountId),
  master_id: ({ masterId }) => showId("mas", masterId), // the operator's
  reason: ({ reason }) => reason,
  messages: ({ messages }) => messages,
  units: ({ units }) => units,
  from: ({ sample }) => text(sample.from),
  recipient: ({ sample }) => text(sample.recipient),
  client_address: ({ sample }) => text(sample.client_address),
  detail: ({ sample }) => text(sample.detail),
} as const satisfies Record<string, (refusal: RefusalCount) => Cell>;

type Column = keyof typeof cells;

const columnsFor = ({ kind }: Principal): Column[] =>
  (Object.keys(cells) as Column[]).filter((column) => column !== "master_id" || kind === "operator");

const PAGE = 1000;

type Reader = Readonly<{ db: Db; principal: Principal; clock: Clock; log: Log }>;
type Search = Omit<RefusalFilter, "limit" | "after">;

export async function refusalsTable(reader: Reader, search: Search): Promise<Content> {
  const { db, principal, clock, log } = reader;
  const columns = columnsFor(principal);
  const read = async (after: EventId | undefined): Promise<TablePage<EventId>> => {
    const found = await listRefusals(db, principal, { ...search, after, limit: PAGE });
    const shown = found.slice(0, PAGE);
    const rows = shown.map((refusal) => csvRow(columns.map((column) => cells[column](refusal))));
    return { rows: rows.join(""), next: found.length > PAGE ? (shown.at(-1)?.id ?? null) : null };
  };
  const first = await read(undefined);
  const fileName = `refusals-${clock.now().toISOString().slice(0, 10)}.csv`;
  return { type: "text/csv; charset=utf-8", fileName, chunks: tableOf(csvRow(columns), first, read, log) };
}
