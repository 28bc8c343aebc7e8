/**
 * The job `alert`: an alert is told by letter at once, put by for a digest, or not told at all, as its rule says.
 *
 * Invariant: it is told exactly once: `notified_at` is set in the transaction that puts the letters into the spool, under
 * a lock on the alert; a job that is run again finds it set, or the alert waiting for its digest.
 * On failure: nothing is stored; the job is tried again.
 */
import { sql } from "kysely";
import type { Contacts } from "../letters/contacts.ts";
import { type LetterDeps, sendLetter } from "../letters/send.ts";
import type { Db } from "../platform/database.ts";
import type { AccountId, AlertId, SubaccountId } from "../platform/ids.ts";
import { alertLetter } from "./alert-letter.ts";
import { contactsOfAlert } from "./contacts.ts";
import { createRaiseLink, type RaiseDeps } from "./raise.ts";
import { type Alert, type AlertContext, withContext } from "./read-alerts.ts";
import type { Delivery } from "./rule.ts";

/** `id` is missing where a version before wrote the job. */
type Key = Readonly<{
  id?: AlertId;
  account_id: AccountId;
  period_start: string;
  level: number | null;
  version: number | null;
}>;

export type NotifyDeps = LetterDeps & RaiseDeps;

export async function notifyAlert(db: Db, payload: unknown, deps: NotifyDeps): Promise<void> {
  await db.transaction().execute(async (trx) => {
    const alert = await lockAlert(trx, payload as Key);
    if (alert === undefined) return;
    const [context] = await withContext(trx, [alert]);
    const delivery = context === undefined ? "off" : deliveryOf(context);
    if (delivery === "daily" || delivery === "weekly") return putBy(trx, context!, delivery);
    const told = delivery === "immediately" && (await tell(trx, context!, deps)) > 0;
    await sql`update alert set notified_at = pm_now(), delivery = ${told ? delivery : "off"}
      where id = ${alert.id}`.execute(trx);
  });
}

/** Undefined: it is told, or it waits for a digest. */
async function lockAlert(trx: Db, { id, account_id, period_start, level, version }: Key): Promise<Alert | undefined> {
  const query = trx
    .selectFrom("alert")
    .selectAll()
    .where("notified_at", "is", null)
    .where("digest_at", "is", null)
    .forUpdate();
  const one =
    id !== undefined
      ? query.where("id", "=", id)
      : query
          .where("account_id", "=", account_id)
          .where("period_start", "=", new Date(period_start))
          .where("level", "=", level)
          .where("version", "=", version);
  return await one.executeTakeFirst();
}

export function deliveryOf({ alert, account, rule }: AlertContext): Delivery | "off" {
  if (!rule.enabled) return "off";
  const { level } = alert;
  const wanted = alert.reason !== "threshold" || level === null ? null : rule.percents;
  if (wanted !== null && !wanted.some((percent) => percent > account.levelBefore && percent <= level!)) return "off";
  if (rule.delivery !== null) return rule.delivery;
  const urgent = alert.reason === "refused" || (alert.base !== null && alert.used >= alert.base);
  return urgent && account.urgentImmediately ? "immediately" : account.masterDelivery;
}

async function putBy(trx: Db, { alert, account }: AlertContext, delivery: Delivery): Promise<void> {
  await sql`update alert set delivery = ${delivery}, digest_at = digest_at(pm_now(), ${account.masterZone}, ${delivery})
    where id = ${alert.id}`.execute(trx);
}

/** Returns how many letters were written. */
async function tell(trx: Db, context: AlertContext, deps: NotifyDeps): Promise<number> {
  const contacts = contactsOfAlert(context);
  for (const { side, to, reader } of contacts) {
    const path = side === "master" ? await createRaiseLink(trx, context, deps) : null;
    const posting = {
      of: brandedFor(context.alert, side),
      to,
      reader,
      write: (who: typeof reader, origin: string) =>
        alertLetter(context, side, who, origin, path === null ? null : `${origin}${path}`),
    };
    const message_id = await sendLetter(trx, posting, deps);
    await trx.insertInto("alert_letter").values({ alert_id: context.alert.id, message_id, side }).execute();
  }
  return contacts.length;
}

/** A subaccount's people see its brand, its master's people theirs. */
export function brandedFor({ account_id, master_id }: Alert, side: Contacts["side"]) {
  return { masterId: master_id, subaccountId: side === "subaccount" ? (account_id as SubaccountId) : null };
}
