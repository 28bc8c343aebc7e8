/** An offer is told to the side that takes it, with the link on which it does. Who has the mail still has to log in there. */
import type { Subaccount } from "../accounts/account.ts";
import { zoneAt } from "../accounts/calendar.ts";
import { findMaster } from "../accounts/find.ts";
import type { Operator } from "../accounts/principal.ts";
import { contactsOf } from "../letters/contacts.ts";
import { type InLanguages, inLanguage, type Language, type Reader, writeInstant } from "../letters/language.ts";
import type { Letter } from "../letters/letter.ts";
import { type LetterDeps, sendLetter } from "../letters/send.ts";
import type { Db } from "../platform/database.ts";
import { formatId } from "../platform/ids.ts";
import type { Transfer } from "./transfer.ts";

/** Masters of both sides are looked up for the transfer, by its own ids. */
const house: Operator = { kind: "operator", via: "key" };

/** A master that is not named hears nothing: it is brought the token. */
export async function tellOffered(
  trx: Db,
  transfer: Transfer,
  subaccount: Subaccount,
  token: string,
  deps: LetterDeps,
): Promise<void> {
  const toOwner = transfer.kind === "standalone" && transfer.offeredBy === "master";
  const masterId = transfer.kind === "move" ? transfer.toMasterId : transfer.fromMasterId;
  if (masterId === null) return;
  const master = await findMaster(trx, house, masterId, deps.clock);
  const owner = { ...subaccount, notificationEmails: null };
  const timeZone = zoneAt(master.calendar, deps.clock.now());
  const contacts = toOwner
    ? contactsOf("billing", { ...master, timeZone, contactPolicy: { billing: "subaccount" } }, owner)
    : contactsOf("billing", { ...master, timeZone }, null);
  const of = { masterId, subaccountId: toOwner ? subaccount.id : null };
  const kind = toOwner ? "alone" : transfer.kind === "move" ? "move" : "leave";
  const facts = {
    kind,
    account: `${subaccount.slug} (${formatId("sub", subaccount.id)})`,
    until: transfer.expiresAt,
  } as const;
  for (const { to, reader } of contacts) {
    const write = (who: Reader, origin: string) => offerLetter({ ...facts, href: `${origin}/transfer/${token}` }, who);
    await sendLetter(trx, { of, to, reader, write }, deps);
  }
}

type Kind = "move" | "leave" | "alone";
type Facts = Readonly<{ kind: Kind; account: string; until: Date; href: string }>;

export function offerLetter({ kind, account, until, href }: Facts, reader: Reader): Letter {
  const words = inLanguage(texts, reader.language);
  return {
    subject: words.subject[kind],
    headline: words.headline[kind],
    facts: [
      [words.account, account],
      [words.until, writeInstant(until, reader)],
    ],
    paragraphs: [words.meaning[kind], words.next],
    action: { label: words.look, href },
    why: words.why,
  };
}

type Texts = Readonly<{
  subject: Readonly<Record<Kind, string>>;
  headline: Readonly<Record<Kind, string>>;
  meaning: Readonly<Record<Kind, string>>;
  account: string;
  until: string;
  next: string;
  look: string;
  why: string;
}>;

const texts: InLanguages<Texts> & Record<Language, Texts> = {
  en: {
    subject: {
      move: "An account is offered to you",
      leave: "One of your accounts asks to stand alone",
      alone: "Your account may stand alone",
    },
    headline: {
      move: "Another reseller offers you an account.",
      leave: "One of your accounts asks to become a customer of its own.",
      alone: "Your reseller lets your account become a customer of its own.",
    },
    meaning: {
      move: "When you take it over, you pay for what it sends from then on. Its earlier months stay with who had it.",
      leave: "When you agree, the operator sets its terms, and it leaves you. Its earlier months stay on your bills.",
      alone: "When you agree, the operator sets your terms, and you pay for what you send from then on.",
    },
    account: "Account",
    until: "Open until",
    next: "Nothing happens until you agree on the page, where you log in.",
    look: "Look at it",
    why: "This goes to the addresses for billing, once for each offer.",
  },
  de: {
    subject: {
      move: "Ihnen wird ein Konto angeboten",
      leave: "Eines Ihrer Konten möchte selbständig werden",
      alone: "Ihr Konto kann selbständig werden",
    },
    headline: {
      move: "Ein anderer Wiederverkäufer bietet Ihnen ein Konto an.",
      leave: "Eines Ihrer Konten möchte ein eigener Kunde werden.",
      alone: "Ihr Wiederverkäufer lässt Ihr Konto zum eigenen Kunden werden.",
    },
    meaning: {
      move: "Wenn Sie es übernehmen, zahlen Sie, was es von da an sendet. Frühere Monate bleiben bei dem, der es hatte.",
      leave:
        "Wenn Sie zustimmen, legt der Betreiber die Bedingungen fest, und es verlässt Sie. Frühere Monate bleiben auf Ihren Rechnungen.",
      alone: "Wenn Sie zustimmen, legt der Betreiber Ihre Bedingungen fest, und Sie zahlen, was Sie von da an senden.",
    },
    account: "Konto",
    until: "Offen bis",
    next: "Es geschieht nichts, bevor Sie auf der Seite zustimmen, auf der Sie sich anmelden.",
    look: "Ansehen",
    why: "Diese Nachricht geht je Angebot einmal an die Adressen, die von Rechnungen hören wollen.",
  },
};
