/**
 * The job `alert`: one mail for a threshold that was crossed (or for the first refusal) to those who want to hear of it.
 *
 * Invariant: the mail is in the spool exactly once: `notified_at` is set in the transaction that puts it there, under a
 * lock on the alert; a job that is run again finds it set.
 * On failure: nothing is stored; the job is tried again.
 */
import { type Selectable, sql } from "kysely";
import { contactsOf } from "../letters/contacts.ts";
import { type LetterDeps, sendLetter } from "../letters/send.ts";
import type { Db } from "../platform/database.ts";
import { type AccountId, formatId, type MasterId, type SubaccountId } from "../platform/ids.ts";
import type { ContactPolicy, NotificationEmail, Schema } from "../platform/schema.ts";
import { type QuotaAlert, quotaLetter } from "./quota-letter.ts";

type Key = Readonly<{ account_id: AccountId; period_start: string; level: number; version: number }>;

export async function notifyAlert(db: Db, payload: unknown, deps: LetterDeps): Promise<void> {
  const key = payload as Key;
  await db.transaction().execute(async (trx) => {
    const alert = await lockAlert(trx, key);
    if (alert === undefined) return;
    const account = await readAccount(trx, alert);
    if (account !== undefined) await sendToContacts(trx, alert, account, deps);
    await sql`update alert set notified_at = pm_now() where account_id = ${alert.account_id}
      and period_start = ${alert.period_start} and level = ${alert.level} and version = ${alert.version}`.execute(trx);
  });
}

type Alert = Selectable<Schema["alert"]>;

/** Undefined: it has been notified already. */
async function lockAlert(trx: Db, { account_id, period_start, level, version }: Key): Promise<Alert | undefined> {
  return await trx
    .selectFrom("alert")
    .selectAll()
    .where("account_id", "=", account_id)
    .where("period_start", "=", new Date(period_start))
    .where("level", "=", level)
    .where("version", "=", version)
    .where("notified_at", "is", null)
    .forUpdate()
    .executeTakeFirst();
}

type Account = Pick<QuotaAlert, "name" | "topUp" | "cap" | "overage" | "periodEnd"> &
  Readonly<{
    masterEmails: NotificationEmail[];
    masterLanguage: string | null;
    masterZone: string;
    policy: ContactPolicy;
    subaccountEmails: NotificationEmail[] | null;
    ownerEmail: string | null;
    language: string | null;
    timeZone: string | null;
  }>;

async function readAccount(trx: Db, alert: Alert): Promise<Account | undefined> {
  const { rows } = await sql<Account>`
    select coalesce(s.name, m.name) as name, u.top_up as "topUp", u.cap, m.overage, u.period_end as "periodEnd",
           m.notification_emails as "masterEmails", m.language as "masterLanguage", m.time_zone as "masterZone",
           m.contact_policy as policy,
           s.notification_emails as "subaccountEmails", s.owner_email as "ownerEmail", s.language, s.time_zone as "timeZone"
      from master m
      join usage u on u.account_id = ${alert.account_id} and u.period_start = ${alert.period_start}
      left join subaccount s on s.id = u.account_id
     where m.id = ${alert.master_id}`.execute(trx);
  return rows[0];
}

async function sendToContacts(trx: Db, alert: Alert, account: Account, deps: LetterDeps): Promise<void> {
  const isMaster = alert.account_id === alert.master_id;
  const master = {
    notificationEmails: account.masterEmails,
    contactPolicy: account.policy,
    language: account.masterLanguage,
    timeZone: account.masterZone,
  };
  const subaccount = { ...account, notificationEmails: account.subaccountEmails };
  const facts = factsOf(alert, account);
  for (const { to, reader } of contactsOf("quota", master, isMaster ? null : subaccount)) {
    const of = { masterId: alert.master_id, subaccountId: null };
    await sendLetter(trx, { of, to, reader, write: (who, origin) => quotaLetter(facts, who, origin) }, deps);
  }
}

function factsOf(alert: Alert, { name, topUp, cap, overage, periodEnd }: Account): QuotaAlert {
  const isMaster = alert.account_id === alert.master_id;
  return {
    account: isMaster ? "master" : "subaccount",
    id: isMaster ? formatId("mas", alert.account_id as MasterId) : formatId("sub", alert.account_id as SubaccountId),
    level: alert.level,
    reason: alert.reason,
    used: alert.used,
    base: alert.base,
    name,
    topUp,
    cap,
    overage,
    periodEnd,
  };
}
