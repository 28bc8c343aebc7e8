/**
 * Corrections: the operator takes a charge back, wholly or in part, by a new row that names the charged message.
 *
 * What they change, and what not (promise P3, made exact):
 *   sum of accept entries      = usage counter `used` = API `used` = the statement's `units`
 *   sum of correction entries  = API `corrections`    = the statement's `corrections`
 *   what is billed             = units + corrections
 * The counter that decides at the door does not move: given back there, a correction would be room to send more than the
 * limit in one period (promise P1). Who should send more gets a top-up.
 *
 * Invariant: each correction names what it corrects, so that of one message between nothing and all is taken back; it counts in the
 * period in which it is made, so a closed statement never changes; and it says who made it and why. Units that are given for another
 * reason are credits, not corrections.
 * On failure: nothing is stored.
 */
import { sql } from "kysely";
import { calendarOf } from "../accounts/calendar.ts";
import { requireOperator } from "../accounts/permit.ts";
import { type Principal, reachOf } from "../accounts/principal.ts";
import { type Actor, actorOf, record } from "../audit/record.ts";
import { emit } from "../events/emit.ts";
import type { Clock } from "../platform/clock.ts";
import type { Db } from "../platform/database.ts";
import { Fault, invalid, notFound } from "../platform/errors.ts";
import { type EntryId, formatId, type MasterId, type MessageId, newId, type SubaccountId } from "../platform/ids.ts";
import { inTransaction } from "../platform/transaction.ts";
import { firstArchivedFrom } from "./archive-records.ts";
import { monthOfId } from "./months.ts";
import { type Period, periodAt } from "./period.ts";

export type NewCorrection = Readonly<{
  messageId: MessageId;
  /** Signed: -3 takes three units back; +1 undoes a part of an earlier correction. Left out: all that is still charged is taken back. */
  units?: number | undefined;
  note: string;
}>;

export type Correction = Readonly<{
  id: EntryId;
  messageId: MessageId;
  masterId: MasterId;
  subaccountId: SubaccountId;
  period: Period;
  units: number;
  note: string;
  actor: Pick<Actor, "actor_kind" | "actor_id">;
  createdAt: Date;
}>;

type Charged = { master_id: MasterId; subaccount_id: SubaccountId; units: number };

/**
 * For the operator, also when it acts for an account.
 * @throws Fault forbidden, not-found, invalid at /units or /note, conflict when the period ends at this moment or nothing is left
 */
export async function addCorrection(
  db: Db,
  principal: Principal,
  wanted: NewCorrection,
  clock: Clock,
): Promise<Correction> {
  requireOperator(principal);
  const { messageId, note } = wanted;
  checkGiven(wanted);
  return await inTransaction(db, async (trx) => {
    const entry = await findCharged(trx, principal, messageId);
    const { master_id: masterId, subaccount_id: subaccountId } = entry;
    const period = await holdPeriod(trx, masterId, clock);
    const units = await decideUnits(trx, messageId, entry, wanted.units);
    const { actor_kind, actor_id } = actorOf(principal);
    const id = newId<EntryId>(clock);
    const { rows } = await sql<{ at: Date }>`
      insert into usage_entry (id, master_id, subaccount_id, period_start, units, kind, corrects, note, accepted_at, actor_kind, actor_id)
      values (${id}, ${masterId}, ${subaccountId}, ${period.start}, ${units}, 'correction', ${messageId}, ${note}, pm_now(),
              ${actor_kind}, ${actor_id}) returning accepted_at as at`.execute(trx);
    const after = { message_id: formatId("msg", messageId), units, note };
    const target = formatId("ent", id);
    await record(
      trx,
      { principal, action: "ledger.corrected", target, before: null, after, masterId, subaccountId },
      clock,
    );
    const data = { correction_id: target, units, period_start: period.start };
    const what = { masterId, subaccountId, messageId, at: clock.now(), data };
    await emit(trx, { type: "usage.corrected", ...what }, clock);
    const actor = { actor_kind, actor_id };
    return { id, messageId, masterId, subaccountId, period, units, note, actor, createdAt: rows[0]!.at };
  });
}

const MAX_NOTE = 500;

function checkGiven({ units, note }: NewCorrection): void {
  if (units !== undefined && (!Number.isSafeInteger(units) || units === 0))
    throw invalid("/units", "Give a whole number other than 0, or none for all that is still charged.");
  if (note.trim() === "") throw invalid("/note", "Say why: the note is kept with the correction.");
  if (note.length > MAX_NOTE || note.includes("\0"))
    throw invalid("/note", `A note has at most ${MAX_NOTE} characters.`);
}

async function findCharged(trx: Db, principal: Principal, messageId: MessageId): Promise<Charged> {
  const { masterId, subaccountId } = reachOf(principal);
  const { rows } = await sql<Charged>`
    select master_id, subaccount_id, units from usage_entry where id = ${messageId} and kind = 'accept'
       and (${masterId}::uuid is null or master_id = ${masterId}) and (${subaccountId}::uuid is null or subaccount_id = ${subaccountId})`.execute(
    trx,
  );
  const [row] = rows;
  await checkLive(trx, messageId);
  if (row === undefined) throw notFound("charged message");
  return row;
}

/** What is taken back of a charge is decided by all its entries: its own, and corrections of it in later months. */
async function checkLive(trx: Db, messageId: MessageId): Promise<void> {
  const archived = await firstArchivedFrom(trx, messageId);
  if (archived === undefined) return;
  const month = monthOfId(messageId);
  const id = formatId("msg", messageId);
  const why =
    archived === month
      ? `What was charged in ${month} is archived: ${id} can't be corrected any more`
      : `${archived} is archived, where corrections of ${id} may lie: it can't be corrected`;
  const what = `Correct a newer message of the subaccount by as many units, or restore the month: postmeter ledger restore --month ${archived}`;
  throw new Fault("conflict", `${why}. ${what}`);
}

/**
 * The running period, held open: its statement can't be closed before this commits, and corrections of one master wait
 * for one another. A lock of their own: a usage row is never held across a round trip.
 */
async function holdPeriod(trx: Db, masterId: MasterId, clock: Clock): Promise<Period> {
  const master = await trx.selectFrom("master").selectAll().where("id", "=", masterId).executeTakeFirst();
  if (master === undefined) throw notFound("master");
  const period = periodAt(calendarOf(master), clock.now());
  await lockCorrections(trx, masterId);
  const { rows } = await sql<{ inside: boolean }>`
    select pm_now() >= ${period.start}::timestamptz and pm_now() < ${period.end}::timestamptz as inside`.execute(trx);
  if (rows[0]?.inside !== true) throw new Fault("conflict", "The period has just changed. Try again.");
  // Where nothing is sent its row alone keeps the period's bounds, and tells that a closed master has one more to close (open-period.ts).
  // Almost always it is there; else the period's first message waits for this to commit.
  await sql`select open_usage(${masterId}, ${period.start}, ${period.end})`.execute(trx);
  return period;
}

/** Until the end of the transaction (or statement) no correction of this master is under way elsewhere. */
export async function lockCorrections(trx: Db, masterId: MasterId): Promise<void> {
  await sql`select pg_advisory_xact_lock(hashtextextended('correction ' || ${masterId}::text, 0))`.execute(trx);
}

/** Under the lock of the master's corrections: what is read here is what is left. */
async function decideUnits(
  trx: Db,
  messageId: MessageId,
  { units: charged }: Charged,
  wanted: number | undefined,
): Promise<number> {
  const { rows } = await sql<{ sum: number }>`
    select coalesce(sum(units), 0)::bigint as sum from usage_entry where kind = 'correction' and corrects = ${messageId}`.execute(
    trx,
  );
  const before = rows[0]?.sum ?? 0;
  const left = charged + before;
  if (wanted === undefined) {
    if (left === 0) throw new Fault("conflict", "Nothing of this message is charged any more.");
    return -left;
  }
  if (wanted < -left)
    throw invalid("/units", `Of this message ${left} of ${charged} units are charged; no more can be taken back.`);
  if (before + wanted > 0)
    throw invalid("/units", `Of this message ${-before} units have been taken back; no more can be charged again.`);
  return wanted;
}
