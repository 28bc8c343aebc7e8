/** The words of a quota alert: what was used, of what, until when, and what to do. */
import { type InLanguages, inLanguage, type Language, type Reader, writeCount } from "../letters/language.ts";
import type { Letter } from "../letters/letter.ts";
import { type AccountAlert, advise, type Links, standingFacts } from "./standing-facts.ts";

export type QuotaAlert = AccountAlert & Readonly<{ level: number /* percent */; reason: "threshold" | "refused" }>;

export function quotaHeadline(alert: QuotaAlert, language: Language): string {
  return inLanguage(texts, language).headline[situationOf(alert)](alert);
}

export function quotaLetter(alert: QuotaAlert, reader: Reader, links: Links): Letter {
  const words = inLanguage(texts, reader.language);
  const headline = quotaHeadline(alert, reader.language);
  const { advice, action } = advise(alert, reader.language, links);
  return {
    subject: headline,
    headline: `${headline}.`,
    facts: standingFacts(alert, reader),
    paragraphs: [consequence(alert, words, reader.language), advice],
    action,
    why: words.why,
  };
}

type Situation = "refused" | "reached" | "threshold";

function situationOf({ reason, used, base }: QuotaAlert): Situation {
  if (reason === "refused") return "refused";
  return base !== null && used >= base ? "reached" : "threshold";
}

function consequence(alert: QuotaAlert, words: Texts, language: Language): string {
  const { account, reason, overage, cap, base } = alert;
  if (account === "master" && overage === "bill" && reason === "threshold") {
    return words.overage(writeCount(base ?? 0, language), cap === null ? null : writeCount(cap, language));
  }
  return reason === "refused" ? words.refusedWhole : words.refusedNext;
}

type Texts = Readonly<{
  headline: Readonly<Record<Situation, (alert: QuotaAlert) => string>>;
  overage(allowance: string, cap: string | null): string;
  refusedWhole: string;
  refusedNext: string;
  why: string;
}>;

const noun = { subaccount: "monthly limit", master: "monthly allowance" } as const;
const wort = { subaccount: "Monatslimit", master: "Monatskontingent" } as const;

const texts: InLanguages<Texts> = {
  en: {
    headline: {
      refused: ({ name, account }) => `Mail of ${name} is refused: its ${noun[account]} has no room for it`,
      reached: ({ name, account }) => `${name} has reached its ${noun[account]}`,
      threshold: ({ name, account, level }) => `${name} has used ${level} % of its ${noun[account]}`,
    },
    overage: (allowance, cap) =>
      `What is sent above the allowance of ${allowance} is billed as overage.${cap === null ? "" : ` Sending stops at ${cap}.`}`,
    refusedWhole:
      "A message with more recipients than are left is refused whole, with a permanent error, and is not queued: its sender has to send it again.",
    refusedNext: "Messages that don't fit are refused with a permanent error; they are not queued.",
    why: "This is sent once for each threshold and limit to the notification addresses for quota.",
  },
  de: {
    headline: {
      refused: ({ name, account }) =>
        `Nachrichten von ${name} werden abgelehnt: Im ${wort[account]} ist kein Platz dafür`,
      reached: ({ name, account }) => `${name} hat sein ${wort[account]} erreicht`,
      threshold: ({ name, account, level }) =>
        `${name} hat ${level} % seines ${account === "master" ? "Monatskontingents" : "Monatslimits"} verbraucht`,
    },
    overage: (allowance, cap) =>
      `Was über das Kontingent von ${allowance} hinaus gesendet wird, wird zusätzlich berechnet.${cap === null ? "" : ` Bei ${cap} endet der Versand.`}`,
    refusedWhole:
      "Eine Nachricht mit mehr Empfängern, als übrig sind, wird ganz und endgültig abgelehnt und nicht zurückgestellt: Der Absender muss sie noch einmal senden.",
    refusedNext: "Nachrichten, für die kein Platz mehr ist, werden endgültig abgelehnt und nicht zurückgestellt.",
    why: "Diese Nachricht kommt je Schwelle und Limit einmal an die Adressen, die von Kontingenten hören wollen.",
  },
};
