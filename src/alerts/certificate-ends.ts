/**
 * The job `certificate_ends`: who looks after a master's security hears when the certificate of a brand's host is about to end.
 *
 * Invariant: the letters are in the spool exactly when the notice is marked as told (branding/certificate-end).
 */
import { zoneOfMaster } from "../accounts/calendar.ts";
import { type Ending, tellEndings } from "../branding/certificate-end.ts";
import { contactsOf } from "../letters/contacts.ts";
import { type InLanguages, inLanguage, type Reader, writeInstant } from "../letters/language.ts";
import type { Letter } from "../letters/letter.ts";
import { type LetterDeps, sendLetter } from "../letters/send.ts";
import type { Db } from "../platform/database.ts";
import { formatId } from "../platform/ids.ts";
import type { Log } from "../platform/log.ts";

/** @returns how many notices were told */
export function tellCertificateEnds(db: Db, deps: LetterDeps & Readonly<{ log: Log }>): Promise<number> {
  return tellEndings({ db, clock: deps.clock, log: deps.log }, async (trx, ending) => {
    const { masterId } = ending;
    const row = await trx
      .selectFrom("master as m")
      .select(["notification_emails", "language", zoneOfMaster.as("timeZone")])
      .where("id", "=", masterId)
      .executeTakeFirstOrThrow();
    const { notification_emails: notificationEmails, language, timeZone } = row;
    for (const { to, reader } of contactsOf("security", { notificationEmails, language, timeZone }, null)) {
      const write = (who: Reader, origin: string) => endingLetter(ending, who, origin);
      await sendLetter(trx, { of: { masterId, subaccountId: null }, to, reader, write }, deps);
    }
  });
}

export function endingLetter({ host, endsAt, subaccountId }: Ending, reader: Reader, origin: string): Letter {
  const words = inLanguage(texts, reader.language);
  const path = subaccountId === null ? "/v1/branding" : `/v1/subaccounts/${formatId("sub", subaccountId)}/branding`;
  const headline = words.headline(host);
  return {
    subject: headline,
    headline: `${headline}.`,
    facts: [
      [words.host, host],
      [words.ends, writeInstant(endsAt, reader)],
    ],
    paragraphs: [words.consequence, words.advice(`PUT ${path}/certificate`)],
    action: { label: words.reference, href: `${origin}/docs` },
    why: words.why,
  };
}

type Texts = Readonly<
  Record<"host" | "ends" | "consequence" | "reference" | "why", string> & {
    headline(host: string): string;
    advice(request: string): string;
  }
>;

const texts: InLanguages<Texts> = {
  en: {
    headline: (host) => `The certificate of ${host} is about to end`,
    host: "Host",
    ends: "Ends",
    consequence:
      "From then on programs that send through this host by TLS, and check what they are shown, refuse to connect.",
    advice: (request) => `Have it renewed, then put the new one in its place: ${request}. It is served at once.`,
    reference: "API reference",
    why: "This is sent 21, 7 and 1 days before the end to the notification addresses for security.",
  },
  de: {
    headline: (host) => `Das Zertifikat von ${host} läuft ab`,
    host: "Host",
    ends: "Läuft ab",
    consequence:
      "Ab dann verbinden sich Programme nicht mehr, die über diesen Host mit TLS senden und das Zertifikat prüfen.",
    advice: (request) => `Lassen Sie es erneuern und hinterlegen Sie das neue: ${request}. Es gilt sofort.`,
    reference: "API-Referenz",
    why: "Diese Nachricht kommt 21, 7 und 1 Tage vor dem Ablauf an die Adressen, die von Sicherheit hören wollen.",
  },
};
