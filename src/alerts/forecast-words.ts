/** Forecasts in words, for letters and pages: `23 November 2026 (20 November to 26 November)`. */
import { type InLanguages, inLanguage, type Language, writeCount } from "../letters/language.ts";

const locales: Readonly<Record<Language, string>> = { en: "en-GB", de: "de-DE" };

/** A day of the master's zone, `2026-11-23`; a reader elsewhere is told the same day. */
export function writeDay(date: string, language: Language, style: "long" | "short" = "long"): string {
  const format = new Intl.DateTimeFormat(locales[language], {
    day: "numeric",
    month: "long",
    ...(style === "long" ? { year: "numeric" } : {}),
    timeZone: "UTC",
  });
  return format.format(new Date(`${date}T00:00:00Z`));
}

export function weekdayName(date: string, language: Language): string {
  const format = new Intl.DateTimeFormat(locales[language], { weekday: "long", timeZone: "UTC" });
  return format.format(new Date(`${date}T00:00:00Z`));
}

const words: InLanguages<Record<"to" | "orLater", string>> = {
  en: { to: "to", orLater: "or after the reset" },
  de: { to: "bis", orLater: "oder erst nach dem Wechsel" },
};

export type Reaches = Readonly<{ expected: string; earliest: string | null; latest: string | null }>;

/** `23 November 2026 (20 November to 26 November)`; `latest` null: perhaps not in this period. */
export function writeReaches({ expected, earliest, latest }: Reaches, language: Language): string {
  const { to, orLater } = inLanguage(words, language);
  const day = writeDay(expected, language);
  const from = writeDay(earliest ?? expected, language, "short");
  if (latest === null) return `${day} (${from} ${to} ${orLater})`;
  return earliest === latest ? day : `${day} (${from} ${to} ${writeDay(latest, language, "short")})`;
}

/** `12,000 (11,200 to 12,900)` */
export function writeBand(
  { expected, low, high }: Readonly<{ expected: number; low: number; high: number }>,
  language: Language,
): string {
  const { to } = inLanguage(words, language);
  const count = (units: number) => writeCount(units, language);
  return `${count(expected)} (${count(low)} ${to} ${count(high)})`;
}
