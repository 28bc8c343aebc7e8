/**
 * The job `alert`: one mail for a threshold that was crossed (or for the first refusal) to those who want to hear of it.
 *
 * Invariant: the mail is in the spool exactly once: `notified_at` is set in the transaction that puts it there, under a
 * lock on the alert; a job that is run again finds it set.
 * On failure: nothing is stored; the job is tried again.
 */
import { CompiledQuery, type Selectable, sql } from "kysely";
import { needsUtf8 } from "../mail/address.ts";
import { composeLetter } from "../mail/compose.ts";
import type { Clock } from "../platform/clock.ts";
import type { Config } from "../platform/config.ts";
import type { Db } from "../platform/database.ts";
import {
  type AccountId,
  formatId,
  type MasterId,
  type MessageId,
  newId,
  PLATFORM,
  type SubaccountId,
} from "../platform/ids.ts";
import type { NotificationEmail, Schema } from "../platform/schema.ts";
import { enqueue } from "../spool/enqueue.ts";
import { PRODUCT, type QuotaAlert, quotaLetter } from "./quota-letter.ts";
import { recipientsOf } from "./recipients.ts";

export type NotifyDeps = Readonly<{
  clock: Clock;
  config: Pick<Config, "publicUrl" | "systemFrom" | "hostname" | "queueLifetimeMs">;
}>;

type Key = Readonly<{ account_id: AccountId; period_start: string; level: number; version: number }>;

export async function notifyAlert(db: Db, payload: unknown, deps: NotifyDeps): Promise<void> {
  const key = payload as Key;
  await db.transaction().execute(async (trx) => {
    const alert = await lockAlert(trx, key);
    if (alert === undefined) return;
    const account = await readAccount(trx, alert);
    const to = account === undefined ? [] : recipientsOf("quota", account.masterEmails, account.subaccountEmails);
    if (account !== undefined && to.length > 0) await enqueueLetter(trx, alert, account, to, deps);
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
  Readonly<{ masterEmails: NotificationEmail[]; subaccountEmails: NotificationEmail[] | null }>;

async function readAccount(trx: Db, alert: Alert): Promise<Account | undefined> {
  const { rows } = await sql<Account>`
    select coalesce(s.name, m.name) as name, u.top_up as "topUp", u.cap, m.overage, u.period_end as "periodEnd",
           m.notification_emails as "masterEmails", s.notification_emails as "subaccountEmails"
      from master m
      join usage u on u.account_id = ${alert.account_id} and u.period_start = ${alert.period_start}
      left join subaccount s on s.id = u.account_id
     where m.id = ${alert.master_id}`.execute(trx);
  return rows[0];
}

async function enqueueLetter(trx: Db, alert: Alert, account: Account, to: string[], deps: NotifyDeps): Promise<void> {
  const { config, clock } = deps;
  const id = newId<MessageId>(clock);
  const words = quotaLetter(factsOf(alert, account), `${config.publicUrl}/docs`);
  const bytes = await composeLetter({
    from: `${PRODUCT} <${config.systemFrom}>`,
    to,
    ...words,
    messageId: `${formatId("msg", id)}@${config.hostname}`,
    at: clock.now(),
  });
  const mail = {
    id,
    kind: "system",
    masterId: alert.master_id,
    subaccountId: PLATFORM,
    sender: config.systemFrom,
    recipients: to,
    bytes,
    smtpUtf8: to.some(needsUtf8),
  } as const;
  await enqueue(clientOf(trx), mail, config.queueLifetimeMs);
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

/** The transaction, as the spool's own statements want it. */
function clientOf(trx: Db): Parameters<typeof enqueue>[0] {
  const query = (text: string, values: unknown[]) => trx.executeQuery(CompiledQuery.raw(text, values));
  return { query } as unknown as Parameters<typeof enqueue>[0];
}
