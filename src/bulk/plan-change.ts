/**
 * Plans a bulk change: each subaccount that a search finds, or that is named, with its members before and after.
 *
 * Invariant: the plan holds the version that it has seen of each account. Whether the limits find room is counted as the run will
 * give them, one after the other; the run decides anew, under locks.
 * On failure: what was planned is dropped.
 */
import type { Master, Subaccount } from "../accounts/account.ts";
import { limitProblem, roomOf } from "../accounts/allocation.ts";
import { findMaster } from "../accounts/find.ts";
import { findSubaccounts } from "../accounts/find-many.ts";
import { listSubaccounts } from "../accounts/list-subaccounts.ts";
import type { Principal } from "../accounts/principal.ts";
import type { CursorValue } from "../accounts/sort.ts";
import type { SubaccountSearch } from "../accounts/subaccount-search.ts";
import type { Clock } from "../platform/clock.ts";
import type { Db } from "../platform/database.ts";
import { Fault, invalid } from "../platform/errors.ts";
import { formatId, type MasterId, type SubaccountId } from "../platform/ids.ts";
import { type BulkChange, changeOf, storeChange } from "./change.ts";
import { insertItems, type NewItem } from "./items.ts";
import { dropRun, openRun, type Run } from "./runs.ts";
import { planned } from "./start.ts";

const PIECE = 1000;

export type ChangeInput = Readonly<{
  /** One of both. */
  search?: SubaccountSearch | undefined;
  ids?: readonly SubaccountId[] | undefined;
  change: BulkChange;
  preview: boolean;
  /** The operator's choice. */
  masterId?: MasterId | undefined;
}>;

/** @throws Fault forbidden, not-found, conflict, invalid when nothing is found or nothing is to be changed */
export async function planChange(db: Db, principal: Principal, input: ChangeInput, clock: Clock): Promise<Run> {
  const { change, preview } = input;
  if (change.limit === undefined && change.action === undefined && Object.keys(change.details ?? {}).length === 0) {
    throw invalid("/change", "Say what is to be changed.");
  }
  const wanted = { kind: "change", masterId: input.masterId, change: storeChange(change) } as const;
  const run = await openRun(db, principal, wanted, clock);
  try {
    const master = await findMaster(db, principal, run.masterId, clock);
    const plan = createPlan(master, change, await roomOf(db, master, clock));
    let total = 0;
    for await (const piece of pieces(db, principal, run, input, clock)) {
      const items = piece.map(plan.itemOf);
      await insertItems(db, run.id, total + 1, items);
      total += items.length;
    }
    if (total === 0) throw new Fault("invalid", "No subaccount is found so.", []);
    return await planned(db, principal, run, { total, counts: plan.counts(), preview }, clock);
  } catch (error) {
    if (!db.isTransaction) await dropRun(db, run.id).catch(() => {});
    throw error;
  }
}

/** An id that was named stands for an account that there is not. */
type Found = Subaccount | SubaccountId;

async function* pieces(
  db: Db,
  principal: Principal,
  { masterId }: Run,
  { search = {}, ids }: ChangeInput,
  clock: Clock,
): AsyncGenerator<readonly Found[]> {
  if (ids !== undefined) {
    const all = [...new Set(ids)].sort();
    for (let i = 0; i < all.length; i += PIECE) {
      const piece = all.slice(i, i + PIECE);
      const found = await findSubaccounts(db, principal, masterId, { ids: piece, externalIds: [] }, clock);
      const byId = new Map(found.map((one) => [one.id, one]));
      yield piece.map((id) => byId.get(id) ?? id);
    }
    return;
  }
  const sort = [{ by: "created", descending: false }] as const;
  let after: readonly CursorValue[] | undefined;
  do {
    const page = await listSubaccounts(db, principal, { ...search, masterId, sort, after, limit: PIECE }, clock);
    yield page.items;
    after = page.next ?? undefined;
  } while (after !== undefined);
}

/** Counts along; `room`: null where nobody counts. */
function createPlan(master: Master, change: BulkChange, room: number | null) {
  const counts = { create: 0, change: 0, same: 0, error: 0 };
  const sums: { limits_before: number | null; limits_after: number | null } = { limits_before: 0, limits_after: 0 };
  let left = room;

  const take = (units: number): string | undefined => {
    if (left === null || units <= 0) {
      if (left !== null) left -= units;
      return undefined;
    }
    if (units > left) return `Only ${Math.max(0, left)} units of the allowance are still to give.`;
    left -= units;
    return undefined;
  };

  const limitsOf = (one: Subaccount, to: number | null | undefined): string | undefined => {
    if (to === undefined) return undefined;
    const closed = one.ownState === "closed" || one.ownState === "archived";
    const wrong = limitProblem(master, to);
    return wrong ?? (closed ? undefined : take((to ?? 0) - (one.monthlyLimit ?? 0)));
  };

  const itemOf = (found: Found): NewItem => {
    if (typeof found === "string") return missing(found);
    const { details, before, after, errors } = changeOf(found, change);
    const noRoom = errors.length > 0 ? undefined : limitsOf(found, details.monthlyLimit);
    const all = noRoom === undefined ? errors : [...errors, { column: "monthly_limit", detail: noRoom }];
    const changes = Object.keys(after).length > 0;
    const what = all.length > 0 ? "error" : changes ? "change" : "same";
    counts[what] += 1;
    add("limits_before", found.monthlyLimit);
    add(
      "limits_after",
      what === "change" && details.monthlyLimit !== undefined ? details.monthlyLimit : found.monthlyLimit,
    );
    const members = what === "change" ? { before, after } : { before: null, after: null };
    const { id: subaccountId, version } = found;
    return { line: null, subaccountId, version, given: null, ...members, planned: what, errors: all };
  };

  const add = (name: keyof typeof sums, limit: number | null) => {
    const sum = sums[name];
    sums[name] = sum === null || limit === null ? null : sum + limit;
  };

  const missing = (id: SubaccountId): NewItem => {
    counts.error += 1;
    const errors = [{ column: null, detail: `There is no such subaccount: ${formatId("sub", id)}.` }];
    return {
      line: null,
      subaccountId: id,
      version: null,
      given: null,
      before: null,
      after: null,
      planned: "error",
      errors,
    };
  };

  return { itemOf, counts: () => ({ ...counts, ...sums, allowance: master.allowance }) };
}
