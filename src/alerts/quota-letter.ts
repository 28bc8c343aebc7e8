/** The words of a quota alert: what was used, of what, until when, and what to do. */
import {
  type InLanguages,
  inLanguage,
  type Language,
  type Reader,
  writeCount,
  writeInstant,
} from "../letters/language.ts";
import type { Letter } from "../letters/letter.ts";

export type QuotaAlert = Readonly<{
  account: "subaccount" | "master";
  name: string;
  id: string; // TypeID
  level: number; // percent
  reason: "threshold" | "refused";
  used: number;
  /** Limit with top-ups, or the master's allowance. Null: none, so another limit refused. */
  base: number | null;
  topUp: number;
  /** What is never exceeded; for a master with overage it is above `base`. Null: unlimited. */
  cap: number | null;
  overage: "block" | "bill";
  periodEnd: Date;
}>;

/** `origin`: the base of links. There is no page for people yet on which usage and limits can be seen. */
export function quotaLetter(alert: QuotaAlert, reader: Reader, origin: string): Letter {
  const words = inLanguage(texts, reader.language);
  const headline = words.headline[situationOf(alert)](alert);
  return {
    subject: headline,
    headline: `${headline}.`,
    facts: factsOf(alert, reader, words),
    paragraphs: [consequence(alert, words, reader.language), words.advice[alert.account](alert.id)],
    action: { label: words.reference, href: `${origin}/docs` },
    why: words.why,
  };
}

type Situation = "refused" | "reached" | "threshold";

function situationOf({ reason, used, base }: QuotaAlert): Situation {
  if (reason === "refused") return "refused";
  return base !== null && used >= base ? "reached" : "threshold";
}

function factsOf(alert: QuotaAlert, reader: Reader, words: Texts): [name: string, value: string][] {
  const { name, id, used, base, topUp, cap, account } = alert;
  const count = (units: number) => writeCount(units, reader.language);
  const share = base !== null && base > 0 ? ` (${Math.floor((used * 100) / base)} %)` : "";
  const limit = cap === null ? null : account === "subaccount" ? cap - topUp : base;
  const { facts } = words;
  return [
    [facts.account, `${name} (${id})`],
    [facts.used, `${count(used)} ${facts.recipients}${share}`],
    [facts[account], limit === null ? facts.none : count(limit)],
    ...(topUp > 0 ? [[facts.topUps, count(topUp)] as [string, string]] : []),
    [facts.left, cap === null ? facts.unlimited : count(Math.max(0, cap - used))],
    [facts.resets, writeInstant(alert.periodEnd, reader)],
  ];
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
  facts: Readonly<
    Record<
      "account" | "used" | "recipients" | "subaccount" | "master" | "none" | "topUps" | "left" | "unlimited" | "resets",
      string
    >
  >;
  overage(allowance: string, cap: string | null): string;
  refusedWhole: string;
  refusedNext: string;
  advice: Readonly<Record<"master" | "subaccount", (id: string) => string>>;
  reference: string;
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
    facts: {
      account: "Account",
      used: "Used",
      recipients: "recipients",
      subaccount: "Limit",
      master: "Allowance",
      none: "none",
      topUps: "Top-ups",
      left: "Left",
      unlimited: "unlimited",
      resets: "Resets",
    },
    overage: (allowance, cap) =>
      `What is sent above the allowance of ${allowance} is billed as overage.${cap === null ? "" : ` Sending stops at ${cap}.`}`,
    refusedWhole:
      "A message with more recipients than are left is refused whole, with a permanent error, and is not queued: its sender has to send it again.",
    refusedNext: "Messages that don't fit are refused with a permanent error; they are not queued.",
    advice: {
      master: () =>
        "With your API key, GET /v1/usage shows what is used, and GET /v1/usage/subaccounts by whom. Your provider can raise the allowance.",
      subaccount: (id) =>
        `With an API key of the account, GET /v1/subaccounts/${id}/usage shows what is used. With one of its master, PATCH /v1/subaccounts/${id} raises the monthly_limit, and POST /v1/subaccounts/${id}/top_ups adds units for this period alone.`,
    },
    reference: "API reference",
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
    facts: {
      account: "Konto",
      used: "Verbraucht",
      recipients: "Empfänger",
      subaccount: "Limit",
      master: "Kontingent",
      none: "keines",
      topUps: "Aufstockung",
      left: "Übrig",
      unlimited: "unbegrenzt",
      resets: "Neu ab",
    },
    overage: (allowance, cap) =>
      `Was über das Kontingent von ${allowance} hinaus gesendet wird, wird zusätzlich berechnet.${cap === null ? "" : ` Bei ${cap} endet der Versand.`}`,
    refusedWhole:
      "Eine Nachricht mit mehr Empfängern, als übrig sind, wird ganz und endgültig abgelehnt und nicht zurückgestellt: Der Absender muss sie noch einmal senden.",
    refusedNext: "Nachrichten, für die kein Platz mehr ist, werden endgültig abgelehnt und nicht zurückgestellt.",
    advice: {
      master: () =>
        "Mit Ihrem API-Schlüssel zeigt GET /v1/usage den Verbrauch und GET /v1/usage/subaccounts, wer ihn verursacht. Das Kontingent erhöht Ihr Anbieter.",
      subaccount: (id) =>
        `Mit einem API-Schlüssel des Kontos zeigt GET /v1/subaccounts/${id}/usage den Verbrauch. Mit dem des Hauptkontos erhöht PATCH /v1/subaccounts/${id} das monthly_limit, und POST /v1/subaccounts/${id}/top_ups stockt nur diesen Zeitraum auf.`,
    },
    reference: "API-Referenz",
    why: "Diese Nachricht kommt je Schwelle und Limit einmal an die Adressen, die von Kontingenten hören wollen.",
  },
};
