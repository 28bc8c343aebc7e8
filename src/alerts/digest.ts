/**
 * The job `digests`: what was put by is told together, one letter for each who hears of it.
 *
 * Invariant: an alert is told exactly once, like those that are told at once: `notified_at` is set in the transaction that
 * puts the letters into the spool, under locks on the alerts.
 * On failure: nothing of that master is stored; the others are done, and the next run tries it again.
 */
import { sql } from "kysely";
import type { Contacts } from "../letters/contacts.ts";
import type { Reader } from "../letters/language.ts";
import { type LetterDeps, sendLetter } from "../letters/send.ts";
import type { Db } from "../platform/database.ts";
import type { MasterId } from "../platform/ids.ts";
import { contactsOfAlert } from "./contacts.ts";
import { digestLetter } from "./digest-letter.ts";
import { brandedFor } from "./notify.ts";
import { type Alert, type AlertContext, withContext } from "./read-alerts.ts";

/** In one letter; what is more goes into the next. */
const AT_ONCE = 1000;

/** Returns how many letters were written. @throws the first error, when the other masters' are done */
export async function sendDigests(db: Db, deps: LetterDeps): Promise<number> {
  const { rows: masters } = await sql<{ id: MasterId }>`
    select distinct master_id as id from alert
     where notified_at is null and digest_at <= pm_now() order by 1`.execute(db);
  const errors: unknown[] = [];
  let letters = 0;
  for (const { id } of masters) {
    letters += await db
      .transaction()
      .execute((trx) => sendDigest(trx, id, deps))
      .catch((error: unknown) => {
        errors.push(error);
        return 0;
      });
  }
  if (errors.length > 0) throw errors[0];
  return letters;
}

async function sendDigest(trx: Db, masterId: MasterId, deps: LetterDeps): Promise<number> {
  const { rows: due } = await sql<Alert>`
    select * from alert where master_id = ${masterId} and notified_at is null and digest_at <= pm_now()
     order by id limit ${AT_ONCE} for update skip locked`.execute(trx);
  const letters = lettersFor(await withContext(trx, due));
  for (const { side, to, reader, items } of letters) {
    const of = brandedFor(items[0]!.alert, side);
    const write = (who: Reader, origin: string) => digestLetter(items, side, who, origin);
    const message_id = await sendLetter(trx, { of, to, reader, write }, deps);
    const rows = items.map(({ alert }) => ({ alert_id: alert.id, message_id, side }));
    await trx.insertInto("alert_letter").values(rows).execute();
  }
  const told = new Set(letters.flatMap(({ items }) => items.map(({ alert }) => alert.id)));
  await sql`update alert set notified_at = pm_now(), delivery = case when id = any(${[...told]}::uuid[]) then delivery else 'off' end
    where id = any(${due.map(({ id }) => id)}::uuid[])`.execute(trx);
  return letters.length;
}

type DigestLetter = Readonly<{ side: Contacts["side"]; to: string[]; reader: Reader; items: AlertContext[] }>;

/** One letter for all who hear of the same alerts on the same side; a subaccount's people share none with another's. */
function lettersFor(contexts: readonly AlertContext[]): DigestLetter[] {
  const byReader = new Map<string, Omit<DigestLetter, "to"> & { address: string }>();
  for (const context of contexts) {
    for (const { side, to, reader } of contactsOfAlert(context)) {
      for (const address of to) {
        const brand = brandedFor(context.alert, side).subaccountId ?? "";
        const key = JSON.stringify([side, brand, reader.language, reader.timeZone, address.toLowerCase()]);
        const known = byReader.get(key) ?? { side, reader, address, items: [] };
        known.items.push(context);
        byReader.set(key, known);
      }
    }
  }
  const letters = new Map<string, DigestLetter>();
  for (const { address, ...letter } of byReader.values()) {
    const key = JSON.stringify([letter.side, letter.reader, letter.items.map(({ alert }) => alert.id)]);
    const known = letters.get(key) ?? { ...letter, to: [] };
    known.to.push(address);
    letters.set(key, known);
  }
  return [...letters.values()];
}
