/**
 * Units per subaccount and day, for a billing system that asks again and again for what is new.
 *
 * A row is handed out when its day is summed, two days after its end (metering/sum-days.ts), and does not change after that. The one
 * exception, an entry that came later still, hands out all rows of its day again, each with the id that it had.
 *
 * Invariant: who goes on from the last position misses no row and gets none twice, whatever is summed at the same time; all rows of a
 * period sum to its statement, and a master is handed only its own.
 */
import { sql } from "kysely";
import { type Principal, reachOf } from "../accounts/principal.ts";
import type { Db } from "../platform/database.ts";
import { notFound } from "../platform/errors.ts";
import { BEFORE_ALL, formatId, type MasterId, type SubaccountId } from "../platform/ids.ts";

export type UsageRow = Readonly<{
  masterId: MasterId;
  subaccountId: SubaccountId;
  externalId: string | null;
  billingProfile: string | null;
  periodStart: Date;
  /** A date of the master's zone, or a part of one: the instants at which uploads began, `[since, until)`. */
  since: Date;
  until: Date;
  messages: number;
  units: number;
  corrections: number; // signed
  position: UsagePosition;
}>;

/** Where a row stands: its day's turn, then in the day. */
export type UsagePosition = readonly [
  turn: number,
  master: string,
  periodStart: string,
  subaccount: string,
  since: string,
];

/** The same for the same row whenever it is read; at most 100 characters. */
export function usageRowId({
  subaccountId,
  periodStart,
  since,
}: Pick<UsageRow, "subaccountId" | "periodStart" | "since">) {
  const [period, from] = [periodStart, since].map((at) => at.getTime() / 1000);
  return `${formatId("sub", subaccountId)}.${period}.${from}`;
}

export type UsageExportFilter = Readonly<{
  masterId?: MasterId | undefined; // the operator's choice
  after?: UsagePosition | undefined;
  limit: number;
}>;

const START: UsagePosition = [0, BEFORE_ALL, "-infinity", BEFORE_ALL, "-infinity"];

/**
 * In the order of the days' turns; `limit + 1` rows: the last tells that there is more.
 * @throws Fault not-found for a subaccount
 */
export async function exportUsage(db: Db, principal: Principal, filter: UsageExportFilter): Promise<UsageRow[]> {
  const { masterId: own, subaccountId } = reachOf(principal);
  if (subaccountId !== null) throw notFound("master");
  const [turn, ...place] = filter.after ?? START;
  const masters = [own, filter.masterId].filter((id) => id != null).map((id) => sql`u.master_id = ${id}`);
  const most = filter.limit + 1;
  const { rows } = await sql<Omit<UsageRow, "position"> & { turn: number }>`
    select d.turn, u.master_id as "masterId", u.subaccount_id as "subaccountId", s.external_id as "externalId",
           s.billing_profile as "billingProfile", u.period_start as "periodStart", u.since, u.until, u.messages, u.units, u.corrections
      from summed_day d
      join lateral (
        select * from usage_day u
         where u.entry_day = d.entry_day and ${sql.join([sql`true`, ...masters], sql` and `)}
           and (d.turn > ${turn} or (u.master_id, u.period_start, u.subaccount_id, u.since)
                > (${place[0]}::uuid, ${place[1]}::timestamptz, ${place[2]}::uuid, ${place[3]}::timestamptz))
         order by u.master_id, u.period_start, u.subaccount_id, u.since limit ${most}) u on true
      left join subaccount s on s.id = u.subaccount_id
     where d.turn >= ${turn}
     order by d.turn, u.master_id, u.period_start, u.subaccount_id, u.since limit ${most}`.execute(db);
  return rows.map(({ turn: at, ...row }) => ({ ...row, position: positionOf(at, row) }));
}

function positionOf(turn: number, row: Omit<UsageRow, "position">): UsagePosition {
  return [turn, row.masterId, row.periodStart.toISOString(), row.subaccountId, row.since.toISOString()];
}
