/** Alerts with the account that each is of and the rule that it falls under, as those need them who tell of it. */
import { type Selectable, sql } from "kysely";
import { zoneOfMaster } from "../accounts/calendar.ts";
import type { Db } from "../platform/database.ts";
import type { AlertId } from "../platform/ids.ts";
import type { ContactPolicy, NotificationEmail, Schema } from "../platform/schema.ts";
import { type AlertKind, defaultRules, kindOf, type RuleTerms } from "./rule.ts";

export type Alert = Selectable<Schema["alert"]>;

export type AlertAccount = Readonly<{
  /** As its master calls it. */
  name: string;
  /** As it knows itself; null: the master's own account. */
  slug: string | null;
  topUp: number;
  cap: number | null;
  overage: "block" | "bill";
  periodEnd: Date;
  masterEmails: NotificationEmail[];
  masterLanguage: string | null;
  masterZone: string;
  policy: ContactPolicy;
  masterDelivery: "immediately" | "daily" | "weekly";
  urgentImmediately: boolean;
  subaccountEmails: NotificationEmail[] | null;
  ownerEmail: string | null;
  language: string | null;
  timeZone: string | null;
  /** The highest threshold that was crossed before, of the same period and base. */
  levelBefore: number;
}>;

export type AlertContext = Readonly<{ alert: Alert; account: AlertAccount; rule: RuleTerms; kind: AlertKind }>;

type Row = AlertAccount & Omit<RuleTerms, "enabled"> & { id: AlertId; enabled: boolean | null };

/** In the order of `alerts`. One whose account has no usage row (any more) is left out. */
export async function withContext(trx: Db, alerts: readonly Alert[]): Promise<AlertContext[]> {
  const { rows } = await sql<Row>`
    select a.id, coalesce(s.name, m.name) as name, s.slug, u.top_up as "topUp", u.cap, m.overage, u.period_end as "periodEnd",
           m.notification_emails as "masterEmails", m.language as "masterLanguage", ${zoneOfMaster} as "masterZone",
           m.contact_policy as policy,
           m.alert_delivery as "masterDelivery", m.alert_urgent_immediately as "urgentImmediately",
           s.notification_emails as "subaccountEmails", s.owner_email as "ownerEmail", s.language, s.time_zone as "timeZone",
           (select coalesce(max(b.level), 0) from alert b where b.account_id = a.account_id and b.period_start = a.period_start
               and b.reason = 'threshold' and b.base is not distinct from a.base and b.level < a.level) as "levelBefore",
           r.enabled, r.topic, r.delivery, r.percents, r.days_before as "daysBefore", r.factor, r.minimum
      from alert a
      join master m on m.id = a.master_id
      join usage u on u.account_id = a.account_id and u.period_start = a.period_start
      left join subaccount s on s.id = a.account_id
      left join lateral (select * from alert_rule r
                          where coalesce(r.subaccount_id, r.master_id) in (a.account_id, a.master_id)
                            and r.kind = case a.reason when 'refused' then 'refusals' else a.reason end
                          order by r.subaccount_id nulls last limit 1) r on true
     where a.id = any(${alerts.map(({ id }) => id)}::uuid[])`.execute(trx);
  const byId = new Map(rows.map((row) => [row.id, row]));
  return alerts.flatMap((alert) => {
    const row = byId.get(alert.id);
    if (row === undefined) return [];
    const kind = kindOf(alert.reason);
    return [{ alert, account: row, rule: row.enabled === null ? defaultRules[kind] : (row as RuleTerms), kind }];
  });
}
