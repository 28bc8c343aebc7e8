/**
 * Saved views of the overview: a search, an order and columns under a name.
 *
 * Invariant: a view is seen by who saved it and, where it is shared, by all of the same master and the operator; only its owner
 * changes it. The operator's own views belong to no master. What a view finds is narrowed by who uses it, never by who saved it.
 */
import { type Selectable, sql } from "kysely";
import { type Members, record } from "../audit/record.ts";
import type { Clock } from "../platform/clock.ts";
import type { Db } from "../platform/database.ts";
import { Fault, invalid, notFound } from "../platform/errors.ts";
import { formatId, newId, type ViewId } from "../platform/ids.ts";
import type { Schema } from "../platform/schema.ts";
import { inTransaction } from "../platform/transaction.ts";
import { line } from "./fields.ts";
import { requireMasterChange } from "./permit.ts";
import { type Principal, reachOf } from "./principal.ts";
import { requireVersion } from "./version.ts";

export type SavedView = Readonly<{
  id: ViewId;
  /** `mem_...`, `key_...`, or `operator`. */
  owner: string;
  /** Whether the asking principal owns it. */
  mine: boolean;
  name: string;
  /** Parameters of the list by their names at the door, which validates them, also when they are used. */
  filter: Readonly<Record<string, string>>;
  sort: string | null;
  columns: readonly string[] | null;
  shared: boolean;
  createdAt: Date;
  updatedAt: Date;
  version: number;
}>;

export type ViewDetails = Readonly<{
  name?: string | undefined;
  filter?: Readonly<Record<string, string>> | undefined;
  sort?: string | null | undefined;
  columns?: readonly string[] | null | undefined;
  shared?: boolean | undefined;
}>;

/** Of one owner; more are hardly looked at. */
const MAX_VIEWS = 200;

/** Who saves: the person or the key that asks; the operator also where it acts for a master. */
export function ownerOf(principal: Principal): string {
  if (principal.memberId !== undefined) return formatId("mem", principal.memberId);
  return principal.kind === "operator" || principal.keyId === null ? "operator" : formatId("key", principal.keyId);
}

/** @throws Fault forbidden, invalid at /name, conflict when the owner has too many */
export async function createView(
  db: Db,
  principal: Principal,
  { name, filter = {}, sort = null, columns = null, shared = false }: ViewDetails & Readonly<{ name: string }>,
  clock: Clock,
): Promise<SavedView> {
  requireMasterChange(principal);
  checkName(name);
  return inTransaction(db, async (trx) => {
    const owner = ownerOf(principal);
    const mine = await select(trx, principal).select("id").where("owner", "=", owner).limit(MAX_VIEWS).execute();
    if (mine.length === MAX_VIEWS)
      throw new Fault("conflict", `There are ${MAX_VIEWS} views already: delete some first.`);
    const now = clock.now();
    const row = await trx
      .insertInto("saved_view")
      .values({
        id: newId<ViewId>(clock),
        master_id: reachOf(principal).masterId,
        owner,
        name,
        filter: JSON.stringify(filter),
        sort,
        columns: columns === null ? null : [...columns],
        shared,
        created_at: now,
        updated_at: now,
      })
      .returningAll()
      .executeTakeFirstOrThrow();
    const view = viewOf(row, principal);
    await note(trx, principal, "view.created", view, [null, membersOf(view)], clock);
    return view;
  });
}

/** @throws Fault not-found, forbidden for a shared one of another's, invalid, precondition */
export async function changeView(
  db: Db,
  principal: Principal,
  id: ViewId,
  patch: ViewDetails,
  options: Readonly<{ version?: number | undefined }>,
  clock: Clock,
): Promise<SavedView> {
  if (patch.name !== undefined) checkName(patch.name);
  return inTransaction(db, async (trx) => {
    const before = await lockOwn(trx, principal, id);
    requireVersion(before, options.version);
    const { filter, columns, ...plain } = patch;
    const given = Object.fromEntries(Object.entries(plain).filter(([, value]) => value !== undefined));
    const row = await trx
      .updateTable("saved_view")
      .set((eb) => ({
        ...given,
        ...(filter === undefined ? {} : { filter: JSON.stringify(filter) }),
        ...(columns === undefined ? {} : { columns: columns === null ? null : [...columns] }),
        updated_at: clock.now(),
        version: eb("version", "+", 1),
      }))
      .where("id", "=", id)
      .returningAll()
      .executeTakeFirstOrThrow();
    const after = viewOf(row, principal);
    await note(trx, principal, "view.changed", after, [membersOf(before), membersOf(after)], clock);
    return after;
  });
}

/** @throws Fault not-found, forbidden for a shared one of another's */
export async function deleteView(db: Db, principal: Principal, id: ViewId, clock: Clock): Promise<void> {
  await inTransaction(db, async (trx) => {
    const view = await lockOwn(trx, principal, id);
    await trx.deleteFrom("saved_view").where("id", "=", id).execute();
    await note(trx, principal, "view.deleted", view, [membersOf(view), null], clock);
  });
}

/** @throws Fault not-found */
export async function findView(db: Db, principal: Principal, id: ViewId): Promise<SavedView> {
  const row = await select(db, principal).selectAll().where("id", "=", id).executeTakeFirst();
  if (row === undefined) throw notFound("view");
  return viewOf(row, principal);
}

/** The own ones and what is shared, oldest first; `limit + 1` rows, the last tells that there is more. */
export async function listViews(
  db: Db,
  principal: Principal,
  filter: Readonly<{ after?: ViewId | undefined; limit: number }>,
): Promise<SavedView[]> {
  let query = select(db, principal).selectAll();
  if (filter.after !== undefined) query = query.where("id", ">", filter.after);
  const rows = await query
    .orderBy("id")
    .limit(filter.limit + 1)
    .execute();
  return rows.map((row) => viewOf(row, principal));
}

function select(db: Db, principal: Principal) {
  const { masterId, subaccountId } = reachOf(principal);
  const visible = db
    .selectFrom("saved_view")
    .where((eb) => eb.or([eb("owner", "=", ownerOf(principal)), eb("shared", "=", true)]));
  if (subaccountId !== null) return visible.where(sql.lit(false)); // the overview is its master's
  return masterId === null ? visible : visible.where("master_id", "=", masterId);
}

async function lockOwn(trx: Db, principal: Principal, id: ViewId): Promise<SavedView> {
  const row = await select(trx, principal).selectAll().where("id", "=", id).forUpdate().executeTakeFirst();
  if (row === undefined) throw notFound("view");
  requireMasterChange(principal);
  const view = viewOf(row, principal);
  if (!view.mine) throw new Fault("forbidden", "Only who saved a view may change it.");
  return view;
}

function checkName(name: string): void {
  const wrong = line(100)(name);
  if (wrong !== undefined) throw invalid("/name", wrong);
}

function viewOf(row: Selectable<Schema["saved_view"]>, principal: Principal): SavedView {
  const { id, owner, name, filter, sort, columns, shared, version } = row;
  const mine = owner === ownerOf(principal);
  const times = { createdAt: row.created_at, updatedAt: row.updated_at };
  return { id, owner, mine, name, filter, sort, columns, shared, ...times, version };
}

function membersOf({ name, filter, sort, columns, shared }: SavedView): Members {
  return { name, filter, sort, columns, shared };
}

type Change = readonly [before: Members | null, after: Members | null];

async function note(
  trx: Db,
  principal: Principal,
  action: string,
  { id }: SavedView,
  [before, after]: Change,
  clock: Clock,
): Promise<void> {
  const where = { masterId: reachOf(principal).masterId, subaccountId: null };
  await record(trx, { principal, action, target: formatId("view", id), before, after, ...where }, clock);
}
