/**
 * Takes a table of subaccounts in and plans each row, in pieces, while it arrives.
 *
 * Invariant: memory holds one piece and the ids of the rows, whatever the file's size; no transaction lasts while the client
 * sends. Nothing is done to an account before the whole file has been read.
 * On failure: what was taken in is dropped; where even that fails, bulk/forget drops it.
 */
import type { Subaccount } from "../accounts/account.ts";
import { findSubaccounts } from "../accounts/find-many.ts";
import type { Principal } from "../accounts/principal.ts";
import type { Clock } from "../platform/clock.ts";
import type { Db } from "../platform/database.ts";
import { Fault } from "../platform/errors.ts";
import { type MasterId, parseId } from "../platform/ids.ts";
import { insertItems, type NewItem } from "./items.ts";
import { planRow } from "./plan-row.ts";
import { readTable, type TableRow } from "./read-table.ts";
import { dropRun, openRun, type Planned, type Run } from "./runs.ts";
import { planned } from "./start.ts";

const PIECE = 500;

export type ImportOptions = Readonly<{
  /** The plan alone; it may be started later. */
  preview: boolean;
  /** The operator's choice. */
  masterId?: MasterId | undefined;
}>;

/** @throws Fault forbidden, not-found, conflict, invalid with the line */
export async function receiveImport(
  db: Db,
  principal: Principal,
  bytes: AsyncIterable<Uint8Array>,
  { preview, masterId }: ImportOptions,
  clock: Clock,
): Promise<Run> {
  const { ignored, rows } = await readTable(bytes);
  const run = await openRun(db, principal, { kind: "import", masterId, ignored }, clock);
  try {
    const { total, counts } = await planRows(db, principal, run, rows, clock);
    if (total === 0) throw new Fault("invalid", "There is no row below the first one.", []);
    return await planned(db, principal, run, { total, counts, preview }, clock);
  } catch (error) {
    await dropRun(db, run.id).catch(() => {});
    throw error;
  }
}

async function planRows(db: Db, principal: Principal, run: Run, rows: AsyncIterable<TableRow>, clock: Clock) {
  const counts = { create: 0, change: 0, same: 0, error: 0 };
  const seen = new Set<string>();
  let total = 0;
  const plan = async (piece: readonly TableRow[]) => {
    const find = await finder(db, principal, run.masterId, piece, clock);
    const items = piece.map((row) => itemOf(row, find(row), seen));
    for (const item of items) counts[item.planned] += 1;
    await insertItems(db, run.id, total + 1, items);
    total += items.length;
  };
  let piece: TableRow[] = [];
  for await (const row of rows) {
    piece.push(row);
    if (piece.length < PIECE) continue;
    await plan(piece);
    piece = [];
  }
  await plan(piece);
  return { total, counts: counts satisfies Planned };
}

/** By id where the row has one, else by external id. */
async function finder(db: Db, principal: Principal, masterId: MasterId, piece: readonly TableRow[], clock: Clock) {
  const ids = piece.flatMap(({ cells }) => parseId("sub", cells.id ?? "") ?? []);
  const externalIds = piece.flatMap(({ cells }) => (cells.id || !cells.external_id ? [] : [cells.external_id]));
  const found = await findSubaccounts(db, principal, masterId, { ids, externalIds }, clock);
  const byId = new Map<string, Subaccount>(found.map((one) => [one.id, one]));
  const byExternalId = new Map(found.map((one) => [one.externalId, one]));
  return ({ cells }: TableRow): Subaccount | undefined =>
    cells.id ? byId.get(parseId("sub", cells.id) ?? "") : byExternalId.get(cells.external_id ?? "");
}

function itemOf({ line, cells, detail }: TableRow, current: Subaccount | undefined, seen: Set<string>): NewItem {
  const where = { line, subaccountId: current?.id ?? null, version: current?.version ?? null };
  const wrong = (column: string | null, reason: string): NewItem => {
    const errors = [{ column, detail: reason }];
    return { ...where, given: null, before: null, after: null, planned: "error", errors };
  };
  if (detail !== undefined) return wrong(null, detail);
  const key = current?.id ?? `ext:${cells.external_id ?? ""}`;
  if (seen.has(key) && key !== "ext:")
    return wrong(cells.id ? "id" : "external_id", "A row before says something of it already.");
  seen.add(key);
  const { planned: what, before, after, errors } = planRow(cells, current);
  return { ...where, given: cells, before, after, planned: what, errors };
}
