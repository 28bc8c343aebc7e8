/**
 * Subaccounts as a table for spreadsheets: all that match, read page by page while the client takes it, so that neither
 * memory nor a snapshot grows with their number.
 *
 * Invariant: the order and the filters are those of the list. An account that moves within the order meanwhile may be missed
 * or come twice; none of another tenant comes.
 */
import type { z } from "@hono/zod-openapi";
import { type ListedSubaccount, listSubaccounts, type SubaccountFilter } from "../accounts/list-subaccounts.ts";
import type { Principal } from "../accounts/principal.ts";
import { readUsages } from "../metering/usage.ts";
import type { Clock } from "../platform/clock.ts";
import { csvRow, csvText } from "../platform/csv.ts";
import type { Db } from "../platform/database.ts";
import type { Log } from "../platform/log.ts";
import type { Content } from "./endpoint.ts";
import { showSubaccount, type subaccountShape } from "./subaccount-shape.ts";
import { type TablePage, tableOf } from "./table.ts";

type Shown = z.output<typeof subaccountShape>;
type Cell = string | number;

const text = (value: string | null | undefined): string => (value == null ? "" : csvText(value));

/** Emails of the account's own, with blanks between; topics stand in the API. */
function emails(shown: Shown): string {
  return text(shown.notification_emails?.map((one) => (typeof one === "string" ? one : one.email)).join(" "));
}

const cells = {
  id: ({ id }) => id,
  master_id: (shown) => shown.master_id ?? "", // the operator's
  name: ({ name }) => text(name),
  slug: ({ slug }) => slug,
  external_id: (shown) => text(shown.external_id),
  state: ({ state }) => state,
  plan: ({ plan }) => text(plan),
  monthly_limit: (shown) => shown.monthly_limit ?? "",
  used: ({ usage }) => usage.used,
  top_up: ({ usage }) => usage.top_up,
  remaining: ({ usage }) => usage.remaining ?? "",
  used_percent: (_, { usedPercent }) => (usedPercent === null ? "" : Math.floor(usedPercent * 100) / 100),
  refused: ({ usage }) => usage.refused,
  corrections: ({ usage }) => usage.corrections,
  owner_name: (shown) => text(shown.owner_name),
  owner_email: (shown) => text(shown.owner_email),
  notification_emails: emails,
  region: ({ region }) => text(region),
  language: ({ language }) => text(language),
  time_zone: (shown) => text(shown.time_zone),
  public_message: (shown) => text(shown.public_message),
  notes: ({ notes }) => text(notes),
  expires_at: (shown) => shown.expires_at ?? "",
  created_at: (shown) => shown.created_at,
  updated_at: (shown) => shown.updated_at,
} as const satisfies Record<string, (shown: Shown, listed: ListedSubaccount) => Cell>;

export type TableColumn = keyof typeof cells;
export const tableColumns = Object.keys(cells) as TableColumn[];

const columnsFor = ({ kind }: Principal): TableColumn[] =>
  tableColumns.filter((column) => column !== "master_id" || kind === "operator");

/** Of one statement; a hundred thousand subaccounts take a hundred, and none keeps the program from others for long. */
const PAGE = 1000;

type Reader = Readonly<{ db: Db; principal: Principal; clock: Clock; log: Log }>;
type Search = Omit<SubaccountFilter, "limit" | "after">;

/** @throws what a list with that filter throws, before anything is sent */
export async function subaccountsTable(
  reader: Reader,
  search: Search,
  columns: readonly TableColumn[] = columnsFor(reader.principal),
): Promise<Content> {
  const first = await readPage(reader, search, columns, undefined);
  const fileName = `subaccounts-${reader.clock.now().toISOString().slice(0, 10)}.csv`;
  const readNext = (after: SubaccountFilter["after"]) => readPage(reader, search, columns, after);
  return { type: "text/csv; charset=utf-8", fileName, chunks: tableOf(csvRow(columns), first, readNext, reader.log) };
}

async function readPage(
  { db, principal, clock }: Reader,
  search: Search,
  columns: readonly TableColumn[],
  after: SubaccountFilter["after"],
): Promise<TablePage<NonNullable<SubaccountFilter["after"]>>> {
  const { items, next } = await listSubaccounts(db, principal, { ...search, after, limit: PAGE }, clock);
  const usages = await readUsages(db, principal, items, clock);
  const row = (item: ListedSubaccount): string => {
    const shown = showSubaccount(item, usages.get(item.id)!, principal);
    return csvRow(columns.map((column) => cells[column](shown, item)));
  };
  return { rows: items.map(row).join(""), next };
}
