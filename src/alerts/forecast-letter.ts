/** The words of a forecast alert: when 100 % is expected, how sure that is, and what will have been used by the reset. */
import { type InLanguages, inLanguage, type Language, type Reader } from "../letters/language.ts";
import type { Letter } from "../letters/letter.ts";
import { type Reaches, writeBand, writeDay, writeReaches } from "./forecast-words.ts";
import { type AccountAlert, advise, type Links, standingFacts } from "./standing-facts.ts";

/** Days are those of the master's zone, `2026-11-23`. */
export type ForecastAlert = AccountAlert &
  Reaches &
  Readonly<{ at_end: Readonly<{ expected: number; low: number; high: number }> }>;

export function forecastHeadline(alert: ForecastAlert, language: Language): string {
  return inLanguage(texts, language).headline(alert, writeDay(alert.expected, language));
}

export function forecastLetter(alert: ForecastAlert, reader: Reader, links: Links): Letter {
  const { language } = reader;
  const words = inLanguage(texts, language);
  const headline = forecastHeadline(alert, language);
  const { advice, action } = advise(alert, language, links);
  return {
    subject: headline,
    headline: `${headline}.`,
    facts: [
      ...standingFacts(alert, reader),
      [words.reached, writeReaches(alert, language)],
      [words.atEnd, writeBand(alert.at_end, language)],
    ],
    paragraphs: [words.basis, advice],
    action,
    why: words.why,
  };
}

type Texts = Readonly<{
  headline(alert: ForecastAlert, day: string): string;
  reached: string;
  atEnd: string;
  basis: string;
  why: string;
}>;

const texts: InLanguages<Texts> = {
  en: {
    headline: ({ name, account }, day) =>
      `${name} is expected to reach its monthly ${account === "master" ? "allowance" : "limit"} on ${day}`,
    reached: "100 % on",
    atEnd: "By the reset",
    basis:
      "This is drawn from the last four weeks, day by day of the week. Four times out of five it lies within the band.",
    why: "This is sent once for each period and limit to the addresses that want to hear of it.",
  },
  de: {
    headline: ({ name, account }, day) =>
      `${name} wird sein ${account === "master" ? "Monatskontingent" : "Monatslimit"} voraussichtlich am ${day} erreichen`,
    reached: "100 % am",
    atEnd: "Bis zum Wechsel",
    basis:
      "Das ergibt sich aus den letzten vier Wochen, nach Wochentagen. In vier von fünf Fällen liegt es in der Spanne.",
    why: "Diese Nachricht kommt je Zeitraum und Limit einmal an die Adressen, die davon hören wollen.",
  },
};
