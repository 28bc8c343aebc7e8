/** The words of a jump: what a day has brought, what is usual on it, and what may be behind it. */
import { type InLanguages, inLanguage, type Language, type Reader, writeCount } from "../letters/language.ts";
import type { Letter } from "../letters/letter.ts";
import { weekdayName } from "./forecast-words.ts";
import { type AccountAlert, advise, type Links, standingFacts } from "./standing-facts.ts";

/** `date`: a day of the master's zone; `units` of it until then; `usual`: what that weekday brings. */
export type JumpAlert = AccountAlert & Readonly<{ date: string; units: number; usual: number }>;

export function jumpHeadline({ name, units, usual, date }: JumpAlert, language: Language): string {
  const count = (number: number) => writeCount(number, language);
  return inLanguage(texts, language).headline(name, count(units), count(usual), weekdayName(date, language));
}

export function jumpLetter(alert: JumpAlert, reader: Reader, links: Links): Letter {
  const words = inLanguage(texts, reader.language);
  const headline = jumpHeadline(alert, reader.language);
  const { action } = advise(alert, reader.language, { ...links, raise: null });
  return {
    subject: headline,
    headline: `${headline}.`,
    facts: standingFacts(alert, reader),
    paragraphs: [words.cause, words.advice(alert.id)],
    action,
    why: words.why,
  };
}

type Texts = Readonly<{
  headline(name: string, units: string, usual: string, weekday: string): string;
  cause: string;
  advice(id: string): string;
  why: string;
}>;

const texts: InLanguages<Texts> = {
  en: {
    headline: (name, units, usual, weekday) =>
      `${name} has sent to ${units} recipients in a day: about ${usual} are usual on a ${weekday}`,
    cause: "If nobody has planned this, somebody else may be sending with a password of the account.",
    advice: (id) =>
      `GET /v1/messages?subaccount_id=${id} shows what is sent. POST /v1/credentials/{id}/rotate gives a credential a new password, and POST /v1/subaccounts/${id}/disable stops the account.`,
    why: "This is sent at most once a day for each account to the addresses that want to hear of it.",
  },
  de: {
    headline: (name, units, usual, weekday) =>
      `${name} hat an einem Tag an ${units} Empfänger gesendet: üblich sind am ${weekday} etwa ${usual}`,
    cause: "Wenn das niemand geplant hat, sendet vielleicht jemand anders mit einem Passwort des Kontos.",
    advice: (id) =>
      `GET /v1/messages?subaccount_id=${id} zeigt, was gesendet wird. POST /v1/credentials/{id}/rotate gibt einem Zugang ein neues Passwort, und POST /v1/subaccounts/${id}/disable hält das Konto an.`,
    why: "Diese Nachricht kommt je Konto höchstens einmal am Tag an die Adressen, die davon hören wollen.",
  },
};
