/** What every alert shows of an account: what it has used, of what, until when; and what can be done about it. */
import {
  type InLanguages,
  inLanguage,
  type Language,
  type Reader,
  writeCount,
  writeInstant,
} from "../letters/language.ts";
import type { Letter } from "../letters/letter.ts";

export type AccountAlert = Readonly<{
  account: "subaccount" | "master";
  name: string;
  id: string; // TypeID
  used: number;
  /** Limit with top-ups, or the master's allowance. Null: none, so another limit refused. */
  base: number | null;
  topUp: number;
  /** What is never exceeded; for a master with overage it is above `base`. Null: unlimited. */
  cap: number | null;
  overage: "block" | "bill";
  periodEnd: Date;
}>;

/** `origin`: the base of links. `raise`: where the reader may raise the limit; null: nowhere. */
export type Links = Readonly<{ origin: string; raise: string | null }>;

export function standingFacts(alert: AccountAlert, reader: Reader): [name: string, value: string][] {
  const { name, id, used, base, topUp, cap, account } = alert;
  const { facts } = inLanguage(texts, reader.language);
  const count = (units: number) => writeCount(units, reader.language);
  const share = base !== null && base > 0 ? ` (${Math.floor((used * 100) / base)} %)` : "";
  const limit = cap === null ? null : account === "subaccount" ? cap - topUp : base;
  return [
    [facts.account, `${name} (${id})`],
    [facts.used, `${count(used)} ${facts.recipients}${share}`],
    [facts[account], limit === null ? facts.none : count(limit)],
    ...(topUp > 0 ? [[facts.topUps, count(topUp)] as [string, string]] : []),
    [facts.left, cap === null ? facts.unlimited : count(Math.max(0, cap - used))],
    [facts.resets, writeInstant(alert.periodEnd, reader)],
  ];
}

/** There is no page for people yet on which usage can be seen: without a link to raise, the reference has to do. */
export function advise(
  { account, id }: AccountAlert,
  language: Language,
  { origin, raise }: Links,
): { advice: string; action: NonNullable<Letter["action"]> } {
  const words = inLanguage(texts, language);
  if (raise !== null) return { advice: words.byLink(id), action: { label: words.raise, href: raise } };
  return { advice: words.advice[account](id), action: { label: words.reference, href: `${origin}/docs` } };
}

type Texts = Readonly<{
  facts: Readonly<
    Record<
      "account" | "used" | "recipients" | "subaccount" | "master" | "none" | "topUps" | "left" | "unlimited" | "resets",
      string
    >
  >;
  advice: Readonly<Record<"master" | "subaccount", (id: string) => string>>;
  byLink(id: string): string;
  raise: string;
  reference: string;
}>;

const texts: InLanguages<Texts> = {
  en: {
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
    advice: {
      master: () =>
        "With your API key, GET /v1/usage shows what is used, and GET /v1/usage/subaccounts by whom. Your provider can raise the allowance.",
      subaccount: (id) =>
        `With an API key of the account, GET /v1/subaccounts/${id}/usage shows what is used. With one of its master, PATCH /v1/subaccounts/${id} raises the monthly_limit, and POST /v1/subaccounts/${id}/top_ups adds units for this period alone.`,
    },
    byLink: (id) =>
      `The link shows a proposal before anything is changed. It works once, until the limit resets, for whoever has this mail: don't pass it on. With your API key, PATCH /v1/subaccounts/${id} sets the monthly_limit, and POST /v1/subaccounts/${id}/top_ups adds units for this period alone.`,
    raise: "Raise the limit",
    reference: "API reference",
  },
  de: {
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
    advice: {
      master: () =>
        "Mit Ihrem API-Schlüssel zeigt GET /v1/usage den Verbrauch und GET /v1/usage/subaccounts, wer ihn verursacht. Das Kontingent erhöht Ihr Anbieter.",
      subaccount: (id) =>
        `Mit einem API-Schlüssel des Kontos zeigt GET /v1/subaccounts/${id}/usage den Verbrauch. Mit dem des Hauptkontos erhöht PATCH /v1/subaccounts/${id} das monthly_limit, und POST /v1/subaccounts/${id}/top_ups stockt nur diesen Zeitraum auf.`,
    },
    byLink: (id) =>
      `Der Link zeigt einen Vorschlag, bevor etwas geändert wird. Er gilt einmal, bis zum Wechsel des Zeitraums, für jeden, der diese Nachricht hat: Geben Sie ihn nicht weiter. Mit Ihrem API-Schlüssel setzt PATCH /v1/subaccounts/${id} das monthly_limit, und POST /v1/subaccounts/${id}/top_ups stockt nur diesen Zeitraum auf.`,
    raise: "Limit erhöhen",
    reference: "API-Referenz",
  },
};
