/** The job `locked_out`: those who look after an account hear that a log-in was locked after too many failures. */
import { sql } from "kysely";
import { zoneOfMaster } from "../accounts/calendar.ts";
import { emit } from "../events/emit.ts";
import { contactsOf } from "../letters/contacts.ts";
import { type InLanguages, inLanguage, type Reader, writeInstant } from "../letters/language.ts";
import type { Letter } from "../letters/letter.ts";
import { type LetterDeps, sendLetter } from "../letters/send.ts";
import type { Db } from "../platform/database.ts";
import type { MasterId, SubaccountId } from "../platform/ids.ts";
import type { NotificationEmail } from "../platform/schema.ts";

type LockedOut = Readonly<{
  master_id: MasterId;
  subaccount_id: SubaccountId | null;
  name: string;
  network: string;
  until: string;
}>;

type Account = Readonly<{
  masterEmails: NotificationEmail[];
  masterLanguage: string | null;
  masterZone: string;
  account: string;
  subaccountEmails: NotificationEmail[] | null;
}>;

/** Run again after a failure it may write a second letter: it says the same. */
export async function tellLockedOut(db: Db, payload: unknown, deps: LetterDeps): Promise<void> {
  const locked = payload as LockedOut;
  await db.transaction().execute(async (trx) => {
    const { rows } = await sql<Account>`
      select m.notification_emails as "masterEmails", m.language as "masterLanguage", ${zoneOfMaster} as "masterZone",
             coalesce(s.name, m.name) as account, s.notification_emails as "subaccountEmails"
        from master m left join subaccount s on s.id = ${locked.subaccount_id}::uuid where m.id = ${locked.master_id}`.execute(
      trx,
    );
    const [row] = rows;
    if (row === undefined) return;
    const { master_id: masterId, subaccount_id: subaccountId, name, network, until } = locked;
    const data = { name, network, until: new Date(until).toISOString() };
    await emit(trx, { type: "login.locked", masterId, subaccountId, at: deps.clock.now(), data }, deps.clock);
    const notificationEmails = row.subaccountEmails ?? row.masterEmails;
    const master = { notificationEmails, language: row.masterLanguage, timeZone: row.masterZone };
    const of = { masterId, subaccountId: null };
    for (const { to, reader } of contactsOf("security", master, null)) {
      const write = (who: Reader) => lockedOutLetter({ ...data, account: row.account, until: new Date(until) }, who);
      await sendLetter(trx, { of, to, reader, write }, deps);
    }
  });
}

type Facts = Readonly<{ account: string; name: string; network: string; until: Date }>;

export function lockedOutLetter({ account, name, network, until }: Facts, reader: Reader): Letter {
  const words = inLanguage(texts, reader.language);
  return {
    subject: words.subject(account),
    headline: words.headline(account),
    facts: [
      [words.name, name],
      [words.network, network],
      [words.until, writeInstant(until, reader)],
    ],
    paragraphs: words.paragraphs,
    why: words.why,
  };
}

const texts: InLanguages<{
  subject(account: string): string;
  headline(account: string): string;
  name: string;
  network: string;
  until: string;
  paragraphs: readonly string[];
  why: string;
}> = {
  en: {
    subject: (account) => `A log-in of ${account} is locked after five failures`,
    headline: (account) => `Five times in a row somebody gave a wrong password for ${account}.`,
    name: "User name",
    network: "From",
    until: "Locked until",
    paragraphs: [
      "From there nobody logs in under this name until then, with the right password neither; other networks are not concerned.",
      "If a program of the customer has an old password, change it there and unlock the account. If nobody knows these attempts, somebody is guessing: nothing has to be done.",
    ],
    why: "This is sent to the notification addresses for security.",
  },
  de: {
    subject: (account) => `Eine Anmeldung von ${account} ist nach fünf Fehlversuchen gesperrt`,
    headline: (account) => `Für ${account} wurde fünfmal hintereinander ein falsches Passwort angegeben.`,
    name: "Benutzername",
    network: "Von",
    until: "Gesperrt bis",
    paragraphs: [
      "Von dort meldet sich unter diesem Namen bis dahin niemand an, auch nicht mit dem richtigen Passwort; andere Netze sind nicht betroffen.",
      "Hat ein Programm des Kunden ein altes Passwort, ändern Sie es dort und entsperren Sie das Konto. Kennt niemand diese Versuche, rät jemand: Es ist nichts zu tun.",
    ],
    why: "Diese Nachricht geht an die Adressen, die von Sicherheit hören wollen.",
  },
};
