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
import { type ColumnName, columns } from "../bulk/columns.ts";
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
type CellOf = (shown: Shown, listed: ListedSubaccount) => Cell;

/** Text that others wrote, as an import takes it back. */
const text =
  (name: ColumnName): CellOf =>
  (_, listed) => {
    const value = columns[name].text(listed);
    return value === "" ? "" : csvText(value);
  };

const cells = {
  id: ({ id }) => id,
  master_id: (shown) => shown.master_id ?? "", // the operator's
  name: text("name"),
  slug: ({ slug }) => slug,
  external_id: text("external_id"),
  state: ({ state }) => state,
  plan: text("plan"),
  billing_profile: text("billing_profile"),
  monthly_limit: (shown) => shown.monthly_limit ?? "",
  used: ({ usage }) => usage.used,
  top_up: ({ usage }) => usage.top_up,
  remaining: ({ usage }) => usage.remaining ?? "",
  used_percent: (_, { usedPercent }) => (usedPercent === null ? "" : Math.floor(usedPercent * 100) / 100),
  refused: ({ usage }) => usage.refused,
  corrections: ({ usage }) => usage.corrections,
  owner_name: text("owner_name"),
  owner_email: text("owner_email"),
  notification_emails: text("notification_emails"),
  alert_thresholds: text("alert_thresholds"),
  region: text("region"),
  language: text("language"),
  time_zone: text("time_zone"),
  public_message: text("public_message"),
  notes: text("notes"),
  accepted_terms_at: (shown) => shown.accepted_terms_at ?? "",
  expires_at: (shown) => shown.expires_at ?? "",
  created_at: (shown) => shown.created_at,
  updated_at: (shown) => shown.updated_at,
} as const satisfies Record<string, CellOf>;

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
  chosen: readonly TableColumn[] = columnsFor(reader.principal),
): Promise<Content> {
  const first = await readPage(reader, search, chosen, undefined);
  const fileName = `subaccounts-${reader.clock.now().toISOString().slice(0, 10)}.csv`;
  const readNext = (after: SubaccountFilter["after"]) => readPage(reader, search, chosen, after);
  return { type: "text/csv; charset=utf-8", fileName, chunks: tableOf(csvRow(chosen), first, readNext, reader.log) };
}

async function readPage(
  { db, principal, clock }: Reader,
  search: Search,
  chosen: readonly TableColumn[],
  after: SubaccountFilter["after"],
): Promise<TablePage<NonNullable<SubaccountFilter["after"]>>> {
  const { items, next } = await listSubaccounts(db, principal, { ...search, after, limit: PAGE }, clock);
  const usages = await readUsages(db, principal, items, clock);
  const row = (item: ListedSubaccount): string => {
    const shown = showSubaccount(item, usages.get(item.id)!, principal);
    return csvRow(chosen.map((column) => cells[column](shown, item)));
  };
  return { rows: items.map(row).join(""), next };
}
