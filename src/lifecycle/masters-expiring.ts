/**
 * Tells a master and the operator, 14, 7 and 1 days before, that the master's end date comes near: with it nothing of the master
 * and its subaccounts is accepted any more.
 *
 * Invariant and failure: as for subaccounts (expiring.ts), under a lock on the master. Of the operator's people those hear of it
 * who may set another date: owners and admins.
 */
import { sql } from "kysely";
import { zoneOfMaster } from "../accounts/calendar.ts";
import { emit } from "../events/emit.ts";
import { contactsOf } from "../letters/contacts.ts";
import type { Reader } from "../letters/language.ts";
import { type LetterDeps, sendLetter } from "../letters/send.ts";
import { readerOf, selectPlaces } from "../people/person.ts";
import type { Db } from "../platform/database.ts";
import type { MasterId } from "../platform/ids.ts";
import type { NotificationEmail } from "../platform/schema.ts";
import { type MasterExpiryFacts, masterExpiryLetter } from "./expiry-letter.ts";
import { NOTICE_DAYS, NOTICE_PAGE, tellDue } from "./notices.ts";

type Due = Readonly<{ id: MasterId; expires_at: Date; days: number }>;

/** The job. Returns how many notices were told. @throws AggregateError when some could not be, after all others were */
export function tellExpiringMasters(db: Db, deps: LetterDeps): Promise<number> {
  return tellDue(
    (after: MasterId | null) => readDue(db, after),
    (due) => tell(db, due, deps),
  );
}

async function readDue(db: Db, after: MasterId | null): Promise<Due[]> {
  const { rows } = await sql<Due>`
    select m.id, m.expires_at, d.days
      from master m, lateral (
        select min(days) as days from unnest(${[...NOTICE_DAYS]}::int[]) as days
         where m.expires_at - make_interval(days => days) <= pm_now()) d
     where m.expires_at > pm_now() and m.expires_at <= pm_now() + make_interval(days => ${Math.max(...NOTICE_DAYS)})
       and m.state = 'active' and d.days is not null and (${after}::uuid is null or m.id > ${after})
       and not exists (select from master_expiry_notice n where n.master_id = m.id and n.expires_at = m.expires_at and n.days <= d.days)
     order by m.id limit ${sql.lit(NOTICE_PAGE)}`.execute(db);
  return rows;
}

type Account = Readonly<{
  name: string;
  notificationEmails: NotificationEmail[];
  language: string | null;
  timeZone: string;
}>;

async function tell(db: Db, { id, expires_at: expiresAt, days }: Due, deps: LetterDeps): Promise<boolean> {
  return db.transaction().execute(async (trx) => {
    const { rows } = await sql<Account>`
      select m.name, m.notification_emails as "notificationEmails", m.language, ${zoneOfMaster} as "timeZone"
        from master m where m.id = ${id} and m.expires_at = ${expiresAt} and m.state = 'active' for share`.execute(trx);
    const [account] = rows;
    if (account === undefined) return false;
    const { numAffectedRows } = await sql`
      insert into master_expiry_notice values (${id}, ${expiresAt}, ${days}, pm_now()) on conflict do nothing`.execute(
      trx,
    );
    if (numAffectedRows !== 1n) return false;
    const data = { expires_at: expiresAt.toISOString(), days };
    await emit(trx, { type: "master.expiring", masterId: id, at: deps.clock.now(), data }, deps.clock);
    const facts = { id, name: account.name, expiresAt, days };
    for (const { to, reader } of contactsOf("expiry", account, null)) {
      await send(trx, { ...facts, side: "master" }, [...to], reader, deps);
    }
    for (const place of await operators(trx)) {
      await send(trx, { ...facts, side: "operator" }, [place.email], readerOf(place), deps);
    }
    return true;
  });
}

function operators(trx: Db) {
  return selectPlaces(trx)
    .where("b.master_id", "is", null)
    .where("b.subaccount_id", "is", null)
    .where("b.accepted_at", "is not", null)
    .where("b.role", "in", ["owner", "admin"])
    .orderBy("b.id")
    .execute();
}

async function send(trx: Db, facts: MasterExpiryFacts, to: readonly string[], reader: Reader, deps: LetterDeps) {
  const of = { masterId: facts.side === "master" ? facts.id : null, subaccountId: null };
  await sendLetter(trx, { of, to, reader, write: (who, origin) => masterExpiryLetter(facts, who, origin) }, deps);
}
