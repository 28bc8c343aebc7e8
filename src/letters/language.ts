/** The languages that we write, and how instants and numbers look in them. */
import { minorDigits, showMoney } from "../prices/money.ts";

export const languages = ["en", "de"] as const;
export type Language = (typeof languages)[number];

/** Each text exists in English; another language may be missing one, and English stands in. */
export type InLanguages<T> = Readonly<{ en: T } & Partial<Record<Language, T>>>;

/** The nearest that we write to what somebody has chosen: `de-AT` is `de`, and what we don't know is `en`. */
export function languageOf(...chosen: readonly (string | null)[]): Language {
  for (const tag of chosen) {
    const base = tag?.toLowerCase().split("-")[0];
    const known = languages.find((language) => language === base);
    if (known !== undefined) return known;
  }
  return "en";
}

export function inLanguage<T>(texts: InLanguages<T>, language: Language): T {
  return texts[language] ?? texts.en;
}

/** Whom a text is for: his language, and the zone in which he reads a clock. */
export type Reader = Readonly<{ language: Language; timeZone: string }>;

const locales: Readonly<Record<Language, string>> = { en: "en-GB", de: "de-DE" };

/** `24 November 2026 at 13:00 CET`: an instant as the reader's own clock shows it. */
export function writeInstant(at: Date, { language, timeZone }: Reader): string {
  const format = { dateStyle: "long", timeStyle: "short", timeZone } as const;
  const zone = new Intl.DateTimeFormat(locales[language], { timeZone, timeZoneName: "short" })
    .formatToParts(at)
    .find(({ type }) => type === "timeZoneName")?.value;
  return `${new Intl.DateTimeFormat(locales[language], format).format(at)} ${zone === "UTC" ? "UTC" : (zone ?? "")}`.trim();
}

/** `24 November 2026` */
export function writeDate(at: Date, { language, timeZone }: Reader): string {
  return new Intl.DateTimeFormat(locales[language], { dateStyle: "long", timeZone }).format(at);
}

/** `12,345` or `12.345` */
export function writeCount(count: number, language: Language): string {
  return count.toLocaleString(language === "en" ? "en-US" : locales[language]);
}

/** `1,234.50 EUR` or `1.234,50 EUR`: exact, whatever the amount. */
export function writeMoney(minor: number, currency: string, language: Language): string {
  const digits = minorDigits(currency);
  const [amount = ""] = showMoney(minor, currency).split(" ");
  const format = new Intl.NumberFormat(language === "en" ? "en-US" : locales[language], {
    minimumFractionDigits: digits,
    maximumFractionDigits: digits,
  });
  return `${format.format(amount as `${number}`)} ${currency}`;
}
