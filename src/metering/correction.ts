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
 * Invariant: of one message between nothing and all is taken back; a correction counts in the period in which it is
 * made, so a closed statement never changes.
 * On failure: nothing is stored.
 */
import { sql } from "kysely";
import { calendarOf } from "../accounts/calendar.ts";
import type { Operator } from "../accounts/principal.ts";
import { record } from "../audit/record.ts";
import type { Clock } from "../platform/clock.ts";
import type { Db } from "../platform/database.ts";
import { Fault, invalid, notFound } from "../platform/errors.ts";
import { type EntryId, formatId, type MasterId, type MessageId, newId, type SubaccountId } from "../platform/ids.ts";
import { firstArchivedFrom } from "./archive-records.ts";
import { monthOfId } from "./months.ts";
import { type Period, periodAt } from "./period.ts";

export type NewCorrection = Readonly<{
  messageId: MessageId;
  /** Signed: -3 takes three units back; +1 undoes a part of an earlier correction. */
  units: number;
  note: string;
}>;

export type Correction = Readonly<{
  id: EntryId;
  messageId: MessageId;
  masterId: MasterId;
  subaccountId: SubaccountId;
  period: Period;
  units: number;
}>;

type Charged = { master_id: MasterId; subaccount_id: SubaccountId; units: number };

/** @throws Fault not-found, invalid at /units or /note, conflict when the period ends at this moment */
export async function addCorrection(
  db: Db,
  principal: Operator,
  wanted: NewCorrection,
  clock: Clock,
): Promise<Correction> {
  const { messageId, units, note } = wanted;
  if (!Number.isSafeInteger(units) || units === 0) throw invalid("/units", "Give a whole number other than 0.");
  if (note.trim() === "") throw invalid("/note", "Say why: the note is kept with the correction.");
  return await db.transaction().execute(async (trx) => {
    const entry = await findCharged(trx, messageId);
    const period = await holdPeriod(trx, entry.master_id, clock);
    await checkUnits(trx, messageId, entry, units);
    const id = newId<EntryId>(clock);
    const { master_id: masterId, subaccount_id: subaccountId } = entry;
    await sql`insert into usage_entry (id, master_id, subaccount_id, period_start, units, kind, corrects, note, accepted_at)
      values (${id}, ${masterId}, ${subaccountId}, ${period.start}, ${units}, 'correction', ${messageId}, ${note}, pm_now())`.execute(
      trx,
    );
    const after = { message_id: formatId("msg", messageId), units, note };
    const target = formatId("ent", id);
    await record(
      trx,
      { principal, action: "ledger.corrected", target, before: null, after, masterId, subaccountId },
      clock,
    );
    return { id, messageId, masterId, subaccountId, period, units };
  });
}

async function findCharged(trx: Db, messageId: MessageId): Promise<Charged> {
  const { rows } = await sql<Charged>`
    select master_id, subaccount_id, units from usage_entry where id = ${messageId} and kind = 'accept'`.execute(trx);
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
  return period;
}

/** Until the end of the transaction (or statement) no correction of this master is under way elsewhere. */
export async function lockCorrections(trx: Db, masterId: MasterId): Promise<void> {
  await sql`select pg_advisory_xact_lock(hashtextextended('correction ' || ${masterId}::text, 0))`.execute(trx);
}

async function checkUnits(trx: Db, messageId: MessageId, entry: Charged, units: number): Promise<void> {
  const { rows } = await sql<{ sum: number }>`
    select coalesce(sum(units), 0)::bigint as sum from usage_entry where kind = 'correction' and corrects = ${messageId}`.execute(
    trx,
  );
  const before = rows[0]?.sum ?? 0;
  const left = entry.units + before;
  if (units < -left)
    throw invalid("/units", `Of this message ${left} of ${entry.units} units are charged; no more can be taken back.`);
  if (before + units > 0)
    throw invalid("/units", `Of this message ${-before} units have been taken back; no more can be charged again.`);
}
