/**
 * What was told: alerts, newest first, with the letters that told of them and what became of those.
 *
 * A subaccount sees its own alerts, and of the letters those to its side: whom its master has told is its master's matter.
 */
import { sql } from "kysely";
import { findMaster, findSubaccount } from "../accounts/find.ts";
import { type MasterPrincipal, reachOf, type SubaccountPrincipal } from "../accounts/principal.ts";
import { findPeriod } from "../metering/find-period.ts";
import type { Clock } from "../platform/clock.ts";
import type { Db } from "../platform/database.ts";
import type { AlertId, SubaccountId } from "../platform/ids.ts";
import { type AlertKind, kindOf } from "./rule.ts";

export type AlertView = Readonly<{
  id: AlertId;
  kind: AlertKind;
  at: Date;
  /** Null: the master's own allowance. */
  subaccountId: SubaccountId | null;
  period: Readonly<{ start: Date; end: Date }>;
  used: number;
  base: number | null;
  level: number | null;
  /** Of forecasts and jumps; snake_case, to be shown as it is. */
  data: Readonly<Record<string, unknown>>;
  delivery: "immediately" | "daily" | "weekly" | "off" | null;
  /** When it waits for a digest. */
  digestAt: Date | null;
  toldAt: Date | null;
  letters: readonly AlertLetter[];
}>;

export type AlertLetter = Readonly<{
  side: "master" | "subaccount";
  sentAt: Date;
  recipients: readonly Readonly<{ email: string; state: string }>[];
}>;

export type AlertFilter = Readonly<{
  subaccountId?: SubaccountId | undefined;
  kind?: AlertKind | undefined;
  period?: string | undefined; // its start date in the master's zone
  before?: AlertId | undefined; // the last id of the page before
  limit: number;
}>;

type Row = Omit<AlertView, "kind" | "period" | "letters"> &
  Readonly<{ reason: "threshold" | "refused" | "forecast" | "jump"; start: Date; end: Date }> & {
    letters: { side: AlertLetter["side"]; sent_at: string; recipients: string[]; states: string[] }[];
  };

/** At most `limit + 1` rows: one more than asked tells that there is more. @throws Fault invalid at /period */
export async function listAlerts(
  db: Db,
  principal: MasterPrincipal | SubaccountPrincipal,
  filter: AlertFilter,
  clock: Clock,
): Promise<AlertView[]> {
  const { masterId, subaccountId } = reachOf(principal);
  const conditions = [sql`a.master_id = ${masterId}`];
  if (subaccountId !== null) conditions.push(sql`a.account_id = ${subaccountId}`);
  if (filter.subaccountId !== undefined) conditions.push(sql`a.account_id = ${filter.subaccountId}`);
  if (filter.kind !== undefined) {
    conditions.push(sql`a.reason = ${filter.kind === "refusals" ? "refused" : filter.kind}`);
  }
  if (filter.before !== undefined) conditions.push(sql`a.id < ${filter.before}`);
  if (filter.period !== undefined) {
    conditions.push(sql`a.period_start = ${(await askedPeriod(db, principal, filter.period, clock)).start}`);
  }
  const seen = subaccountId === null ? sql`true` : sql`al.side = 'subaccount'`;
  const { rows } = await sql<Row>`
    select a.id, a.reason, a.created_at as at, nullif(a.account_id, a.master_id) as "subaccountId", a.period_start as start,
           coalesce(u.period_end, a.period_start) as end, a.used, a.base, a.level, a.data, a.delivery,
           case when a.notified_at is null then a.digest_at end as "digestAt", a.notified_at as "toldAt",
           (select coalesce(jsonb_agg(jsonb_build_object('side', al.side, 'sent_at', l.sent_at, 'recipients', l.recipients,
                    'states', l.states) order by l.message_id), '[]')
              from alert_letter al join letter l on l.message_id = al.message_id where al.alert_id = a.id and ${seen}) as letters
      from alert a left join usage u on u.account_id = a.account_id and u.period_start = a.period_start
     where ${sql.join(conditions, sql` and `)}
     order by a.id desc limit ${filter.limit + 1}`.execute(db);
  return rows.map(viewOf);
}

function viewOf({ reason, start, end, letters, ...row }: Row): AlertView {
  return {
    ...row,
    kind: kindOf(reason),
    period: { start, end },
    letters: letters.map(({ side, sent_at, recipients, states }) => ({
      side,
      sentAt: new Date(sent_at),
      recipients: recipients.map((email, i) => ({ email, state: states[i] ?? "queued" })),
    })),
  };
}

async function askedPeriod(db: Db, principal: MasterPrincipal | SubaccountPrincipal, date: string, clock: Clock) {
  const { masterId } = principal;
  const { calendar } =
    principal.kind === "master"
      ? await findMaster(db, principal, masterId, clock)
      : await findSubaccount(db, principal, principal.subaccountId, clock);
  return findPeriod(db, { masterId, calendar }, date, clock);
}
