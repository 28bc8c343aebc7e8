/**
 * Changing a master: a merge patch of its members.
 *
 * Invariant: a changed allowance rules the next message on every node: the usage row follows in the same transaction.
 * Anchor day and time zone change when the running period ends, never within it. What changes nothing writes nothing.
 */
import { sql } from "kysely";
import { record } from "../audit/record.ts";
import { emit } from "../events/emit.ts";
import { type Calendar, changeCalendar, type Period, periodAt } from "../metering/period.ts";
import type { Clock } from "../platform/clock.ts";
import type { Db } from "../platform/database.ts";
import { Fault } from "../platform/errors.ts";
import { formatId, type MasterId } from "../platform/ids.ts";
import { inTransaction } from "../platform/transaction.ts";
import type { Master } from "./account.ts";
import { requireAllAllocated } from "./allocation.ts";
import { dailyCapGiven } from "./daily-cap.ts";
import { changedMembers, checkFields, columnsOf, requireOnly } from "./fields.ts";
import { findMaster } from "./find.ts";
import { type MasterDetails, masterFields, masterMembers, ownFields } from "./master-fields.ts";
import { requireMasterChange } from "./permit.ts";
import type { Principal } from "./principal.ts";
import { requireVersion } from "./version.ts";

export type MasterPatch = MasterDetails;

/** Another process may have read the calendar a moment ago: a period that ends within this time ends by the old one. */
const NOTICE_MS = 60_000;

/**
 * @param id the operator's choice; a master changes itself
 * @param options version: of If-Match
 * @throws Fault not-found, forbidden (allowance, overage, calendar, sender policy, end date are the operator's), invalid,
 * conflict (strict allocation without room, a calendar change too soon after another), precondition
 */
export async function changeMaster(
  db: Db,
  principal: Principal,
  id: MasterId | undefined,
  patch: MasterPatch,
  options: Readonly<{ version?: number | undefined }>,
  clock: Clock,
): Promise<Master> {
  requireMasterChange(principal);
  if (principal.kind === "master" && !principal.operator) requireOnly(masterFields, ownFields, patch);
  checkFields(masterFields, patch);
  return inTransaction(db, async (trx) => {
    const before = await findMaster(trx, principal, id, clock, "change");
    requireVersion(before, options.version);
    const { anchorDay, timeZone, ...plain } = patch;
    if (plain.newSubaccountDailyCap !== undefined)
      plain.newSubaccountDailyCap = dailyCapGiven(before.newSubaccountDailyCap, plain.newSubaccountDailyCap);
    const changed = changedMembers<MasterDetails>(masterFields, before, merged(before, plain));
    const calendar = newCalendar(before, { anchorDay, timeZone }, clock.now());
    if (Object.keys(changed).length === 0 && calendar === undefined) return before;
    if (changed.strictAllocation) {
      const { allowance = before.allowance } = changed;
      await requireAllAllocated(trx, { ...before, allowance }, clock);
    }
    await trx
      .updateTable("master")
      .set((eb) => ({
        ...columnsOf(masterFields, changed),
        ...(calendar === undefined ? {} : calendarColumns(calendar)),
        updated_at: clock.now(),
        version: eb("version", "+", 1),
      }))
      .where("id", "=", before.id)
      .execute();
    if (changed.alertThresholds !== undefined) await syncLater(trx, before.id);
    const after = await findMaster(trx, principal, before.id, clock);
    await tell(trx, principal, before, after, clock);
    return after;
  });
}

function merged(before: Master, patch: MasterPatch): MasterPatch {
  const { contactPolicy } = patch;
  if (contactPolicy === undefined) return patch;
  const given = Object.fromEntries(Object.entries(contactPolicy).filter(([, who]) => who !== undefined));
  return { ...patch, contactPolicy: { ...before.contactPolicy, ...given } };
}

type Wanted = Readonly<{ anchorDay: number | undefined; timeZone: string | undefined }>;

/** Undefined: nothing changes. */
function newCalendar(master: Master, wanted: Wanted, now: Date): Calendar | undefined {
  const { calendar } = master;
  const coming = calendar.next ?? calendar;
  const to = { anchorDay: wanted.anchorDay ?? coming.anchorDay, timeZone: wanted.timeZone ?? coming.timeZone };
  if (to.anchorDay === coming.anchorDay && to.timeZone === coming.timeZone) return undefined;
  const changed = changeCalendar(calendar, to, new Date(now.getTime() + NOTICE_MS));
  // Within the notice a short period is still the running one: the new calendar must not have lost its bounds.
  if (changed !== undefined && isSame(periodAt(changed, now), periodAt(calendar, now))) return changed;
  const detail = "The short period of an earlier change is still running; change it again when that has ended.";
  const pointer = wanted.anchorDay === undefined ? "/time_zone" : "/anchor_day";
  throw new Fault("conflict", detail, [{ pointer, detail }]);
}

function isSame(a: Period, b: Period): boolean {
  return a.start.getTime() === b.start.getTime() && a.end.getTime() === b.end.getTime();
}

function calendarColumns({ anchorDay, timeZone, next }: Calendar) {
  return {
    anchor_day: anchorDay,
    time_zone: timeZone,
    next_anchor_day: next?.anchorDay ?? null,
    next_time_zone: next?.timeZone ?? null,
    calendar_changes_at: next?.changesAt ?? null,
  };
}

/** The usage rows of subaccounts without thresholds of their own follow by a job: there may be a hundred thousand. */
async function syncLater(trx: Db, masterId: MasterId): Promise<void> {
  await sql`select graphile_worker.add_job('sync_usage', json_build_object('master_id', ${masterId}::text))`.execute(
    trx,
  );
}

async function tell(trx: Db, principal: Principal, before: Master, after: Master, clock: Clock): Promise<void> {
  const { id: masterId } = after;
  const target = formatId("mas", masterId);
  const members = { before: masterMembers(before), after: masterMembers(after) };
  await record(trx, { principal, action: "master.changed", target, ...members, masterId, subaccountId: null }, clock);
  const event = { masterId, at: clock.now() };
  if (before.allowance !== after.allowance) {
    const data = { allowance: after.allowance, previous: before.allowance };
    await emit(trx, { ...event, type: "quota.changed", data }, clock);
  }
  if (before.state !== after.state) {
    const data = { from: before.state, to: after.state };
    await emit(trx, { ...event, type: "master.state_changed", data }, clock);
  }
}
