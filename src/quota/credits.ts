/**
 * Credits: units that a master has bought ahead, in packs, and gives to its subaccounts in lots. They are used after limit and top-ups,
 * those first that expire first, and lift both caps by what was spent (migrations/0023).
 *
 * Invariant: lots never hold more than their pack: its row is locked while one is made. A lot is spent by accept_batch alone, in the
 * transaction that stores the message, with a row of the journal for each message and lot.
 * On failure: nothing is changed.
 */
import { sql } from "kysely";
import type { Subaccount } from "../accounts/account.ts";
import { MAX_UNITS } from "../accounts/fields.ts";
import { findMaster, findSubaccount } from "../accounts/find.ts";
import { requireMasterChange } from "../accounts/permit.ts";
import { type Principal, reachOf } from "../accounts/principal.ts";
import { record } from "../audit/record.ts";
import { emit } from "../events/emit.ts";
import type { Clock } from "../platform/clock.ts";
import type { Db } from "../platform/database.ts";
import { Fault, invalid } from "../platform/errors.ts";
import {
  type CreditLotId,
  type CreditPackId,
  formatId,
  type MasterId,
  newId,
  type SubaccountId,
} from "../platform/ids.ts";
import { inTransaction } from "../platform/transaction.ts";

/** `allocated`: given to subaccounts; `left`: still to give, none of one that has expired. */
export type CreditPack = Readonly<{
  id: CreditPackId;
  masterId: MasterId;
  units: number;
  allocated: number;
  left: number;
  note: string | null;
  expiresAt: Date | null;
  createdAt: Date;
}>;

export type CreditLot = Readonly<{
  id: CreditLotId;
  subaccountId: SubaccountId;
  units: number;
  spent: number;
  expiresAt: Date | null;
  createdAt: Date;
}>;

export type NewPack = Readonly<{
  masterId: MasterId;
  units: number;
  note?: string | null | undefined;
  expiresAt?: Date | null | undefined;
}>;

const MAX_NOTE = 500;

/** For the operator: what a master has bought. @throws Fault forbidden, not-found, invalid, conflict for a closed master */
export async function addPack(db: Db, principal: Principal, pack: NewPack, clock: Clock): Promise<CreditPack> {
  if (principal.kind !== "operator") throw new Fault("forbidden", "Only the operator may do this.");
  const { units, note = null, expiresAt = null } = pack;
  requireUnits(units);
  if (note !== null && (note.length > MAX_NOTE || note.includes("\0"))) {
    throw invalid("/note", `A note has at most ${MAX_NOTE} characters.`);
  }
  const createdAt = clock.now();
  if (expiresAt !== null && expiresAt <= createdAt) throw invalid("/expires_at", "This has passed already.");
  return inTransaction(db, async (trx) => {
    const { id: masterId, ownState } = await findMaster(trx, principal, pack.masterId, clock, "keep");
    if (ownState === "closed") throw new Fault("conflict", "The master account is closed.");
    const id = newId<CreditPackId>(clock);
    const row = { id, master_id: masterId, units, note, expires_at: expiresAt, created_at: createdAt };
    await trx.insertInto("credit_pack").values(row).execute();
    const after = { units, note, expires_at: expiresAt };
    const target = formatId("pack", id);
    await record(
      trx,
      { principal, action: "credits.bought", target, before: null, after, masterId, subaccountId: null },
      clock,
    );
    return { id, masterId, units, allocated: 0, left: units, note, expiresAt, createdAt };
  });
}

export type PackFilter = Readonly<{ masterId?: MasterId | undefined; after?: CreditPackId | undefined; limit: number }>;

/** Oldest first; `limit + 1` rows, the last tells that there is more. */
export async function listPacks(db: Db, principal: Principal, filter: PackFilter): Promise<CreditPack[]> {
  const { masterId, subaccountId } = reachOf(principal);
  if (subaccountId !== null) throw new Fault("forbidden", "A subaccount may not do this; its master may.");
  const wanted = [masterId, filter.masterId].filter((id) => id != null).map((id) => sql`p.master_id = ${id}`);
  const after = filter.after === undefined ? [] : [sql`p.id > ${filter.after}`];
  const { rows } = await selectPacks(sql.join([sql`true`, ...wanted, ...after], sql` and `), filter.limit + 1).execute(
    db,
  );
  return rows;
}

function selectPacks(where: ReturnType<typeof sql>, limit: number) {
  return sql<CreditPack>`
    select x.*, case when x."expiresAt" <= pm_now() then 0 else x.units - x.allocated end as left
      from (select p.id, p.master_id as "masterId", p.units, p.note, p.expires_at as "expiresAt", p.created_at as "createdAt",
                   (select coalesce(sum(l.units), 0)::bigint from credit_lot l where l.pack_id = p.id) as allocated
              from credit_pack p where ${where} order by p.id limit ${limit}) x order by x.id`;
}

/**
 * Gives units of its master's packs to a subaccount, those that expire first. The caller publishes the subaccount after the commit.
 * @throws Fault forbidden for a subaccount, invalid at /units, conflict for a closed one and where the packs hold less
 */
export async function allocateCredits(
  db: Db,
  principal: Principal,
  subaccount: Subaccount,
  units: number,
  clock: Clock,
): Promise<CreditLot[]> {
  requireMasterChange(principal);
  requireUnits(units);
  return inTransaction(db, async (trx) => {
    const locked = await findSubaccount(trx, principal, subaccount.id, clock, "change");
    const { id: subaccountId, masterId, ownState } = locked;
    if (ownState === "closed" || ownState === "archived") {
      throw new Fault("conflict", `The account is ${ownState}: it takes no credits.`);
    }
    const lots = await insertLots(trx, locked, units, clock);
    const target = formatId("sub", subaccountId);
    const after = { units, lots: lots.map(({ id }) => formatId("lot", id)) };
    await record(
      trx,
      { principal, action: "credits.allocated", target, before: null, after, masterId, subaccountId },
      clock,
    );
    const data = { credits: units };
    await emit(trx, { type: "quota.changed", masterId, subaccountId, at: clock.now(), data }, clock);
    return lots;
  });
}

async function insertLots(trx: Db, { id, masterId }: Subaccount, units: number, clock: Clock): Promise<CreditLot[]> {
  await sql`select 1 from credit_pack where master_id = ${masterId} order by id for update`.execute(trx);
  const { rows: packs } = await selectPacks(sql`p.master_id = ${masterId}`, 10_000).execute(trx);
  const soonest = (pack: CreditPack) => pack.expiresAt?.getTime() ?? Number.POSITIVE_INFINITY;
  const lots: (CreditLot & { packId: CreditPackId })[] = [];
  let owing = units;
  for (const pack of packs.toSorted((a, b) => soonest(a) - soonest(b) || 0)) {
    const taken = Math.min(owing, pack.left);
    if (taken <= 0) continue;
    const lot = {
      id: newId<CreditLotId>(clock),
      units: taken,
      spent: 0,
      expiresAt: pack.expiresAt,
      createdAt: clock.now(),
    };
    lots.push({ ...lot, subaccountId: id, packId: pack.id });
    owing -= taken;
  }
  if (owing > 0) {
    const detail = `Only ${units - owing} units of credits are still to give.`;
    throw new Fault("conflict", detail, [{ pointer: "/units", detail }]);
  }
  const rows = lots.map((lot) => ({
    id: lot.id,
    pack_id: lot.packId,
    master_id: masterId,
    subaccount_id: id,
    units: lot.units,
    expires_at: lot.expiresAt,
    created_at: lot.createdAt,
  }));
  await trx.insertInto("credit_lot").values(rows).execute();
  return lots.map(({ packId: _, ...lot }) => lot);
}

export type LotFilter = Readonly<{ after?: CreditLotId | undefined; limit: number }>;

/** Of a subaccount, oldest first; `limit + 1` rows. */
export async function listLots(db: Db, { id }: Subaccount, filter: LotFilter): Promise<CreditLot[]> {
  const after = filter.after === undefined ? sql`true` : sql`l.id > ${filter.after}`;
  const { rows } = await sql<CreditLot>`
    select l.id, l.subaccount_id as "subaccountId", l.units, l.spent, l.expires_at as "expiresAt", l.created_at as "createdAt"
      from credit_lot l where l.subaccount_id = ${id} and ${after} order by l.id limit ${filter.limit + 1}`.execute(db);
  return rows;
}

function requireUnits(units: number): void {
  if (!Number.isSafeInteger(units) || units < 1 || units > MAX_UNITS) {
    throw invalid("/units", `Units are a whole number from 1 to ${MAX_UNITS}.`);
  }
}
