/**
 * Tells masters, 14, 7 and 1 days before, that a subaccount's end date comes near.
 *
 * Invariant: of a date each notice is told once: its row is written in the transaction that puts the mail into the spool, under a
 * lock on the subaccount. Another date, which renewing sets, has notices of its own, and those of the old one are not told any more.
 * When several are due at once, as after a time without jobs, only the nearest to the date is told.
 * On failure: nothing of that notice is stored; the next run tells it.
 */
import { sql } from "kysely";
import { zoneOfMaster } from "../accounts/calendar.ts";
import { emit } from "../events/emit.ts";
import { contactsOf } from "../letters/contacts.ts";
import { type LetterDeps, sendLetter } from "../letters/send.ts";
import type { Db } from "../platform/database.ts";
import type { MasterId, SubaccountId } from "../platform/ids.ts";
import type { NotificationEmail } from "../platform/schema.ts";
import { expiryLetter } from "./expiry-letter.ts";
import { NOTICE_DAYS, NOTICE_PAGE, tellDue } from "./notices.ts";

type Due = Readonly<{ id: SubaccountId; expires_at: Date; days: number }>;

/** The job. Returns how many notices were told. @throws AggregateError when some could not be, after all others were */
export function tellExpiring(db: Db, deps: LetterDeps): Promise<number> {
  return tellDue(
    (after: SubaccountId | null) => readDue(db, after),
    (due) => tell(db, due, deps),
  );
}

/** The notice that is due of each account: the nearest to its date that has begun. Told ones are left out. */
async function readDue(db: Db, after: SubaccountId | null): Promise<Due[]> {
  const { rows } = await sql<Due>`
    select s.id, s.expires_at, d.days
      from subaccount s, lateral (
        select min(days) as days from unnest(${[...NOTICE_DAYS]}::int[]) as days
         where s.expires_at - make_interval(days => days) <= pm_now()) d
     where s.expires_at > pm_now() and s.expires_at <= pm_now() + make_interval(days => ${Math.max(...NOTICE_DAYS)})
       and s.state not in ('closed', 'archived') and d.days is not null
       and (${after}::uuid is null or s.id > ${after})
       and not exists (select from expiry_notice n where n.subaccount_id = s.id and n.expires_at = s.expires_at and n.days <= d.days)
     order by s.id limit ${sql.lit(NOTICE_PAGE)}`.execute(db);
  return rows;
}

type Account = Readonly<{
  masterId: MasterId;
  name: string;
  masterEmails: NotificationEmail[];
  masterLanguage: string | null;
  masterZone: string;
  notificationEmails: NotificationEmail[] | null;
  ownerEmail: string | null;
  language: string | null;
  timeZone: string | null;
}>;

/** False: another run has told it, or the date has changed meanwhile. */
async function tell(db: Db, due: Due, deps: LetterDeps): Promise<boolean> {
  const { id: subaccountId, expires_at: expiresAt, days } = due;
  return db.transaction().execute(async (trx) => {
    const account = await keep(trx, due);
    if (account === undefined) return false;
    const { numAffectedRows } = await sql`
      insert into expiry_notice values (${subaccountId}, ${expiresAt}, ${days}, pm_now()) on conflict do nothing`.execute(
      trx,
    );
    if (numAffectedRows !== 1n) return false;
    const { masterId } = account;
    const data = { expires_at: expiresAt.toISOString(), days };
    const at = deps.clock.now();
    await emit(trx, { type: "subaccount.expiring", masterId, subaccountId, at, data }, deps.clock);
    await write(trx, account, due, deps);
    return true;
  });
}

/** Its date stays what it is until the notice is stored. */
async function keep(trx: Db, { id, expires_at }: Due): Promise<Account | undefined> {
  const { rows } = await sql<Account>`
    select s.master_id as "masterId", s.name, m.notification_emails as "masterEmails", m.language as "masterLanguage",
           ${zoneOfMaster} as "masterZone", s.notification_emails as "notificationEmails", s.owner_email as "ownerEmail", s.language,
           s.time_zone as "timeZone"
      from subaccount s join master m on m.id = s.master_id
     where s.id = ${id} and s.expires_at = ${expires_at} and s.state not in ('closed', 'archived') for share of s`.execute(
    trx,
  );
  return rows[0];
}

async function write(trx: Db, account: Account, { id, expires_at: expiresAt, days }: Due, deps: LetterDeps) {
  const { masterId, name } = account;
  const master = {
    notificationEmails: account.masterEmails,
    language: account.masterLanguage,
    timeZone: account.masterZone,
  };
  for (const { to, reader } of contactsOf("expiry", master, account)) {
    const of = { masterId, subaccountId: null };
    const facts = { id, name, expiresAt, days };
    await sendLetter(trx, { of, to, reader, write: (who, origin) => expiryLetter(facts, who, origin) }, deps);
  }
}
