/** The words of a notice that an end date comes near. */
import { type InLanguages, inLanguage, type Reader, writeInstant } from "../letters/language.ts";
import type { Letter } from "../letters/letter.ts";
import { formatId, type MasterId, type SubaccountId } from "../platform/ids.ts";

export type ExpiryFacts = Readonly<{ id: SubaccountId; name: string; expiresAt: Date; days: number }>;

/** `origin`: the base of links. */
export function expiryLetter(facts: ExpiryFacts, reader: Reader, origin: string): Letter {
  const words = inLanguage(texts, reader.language);
  const id = formatId("sub", facts.id);
  return letterOf({ ...facts, id }, [words.consequence, words.advice(id)], reader, origin);
}

/** `side`: who reads it. */
export type MasterExpiryFacts = Readonly<{
  id: MasterId;
  name: string;
  expiresAt: Date;
  days: number;
  side: "master" | "operator";
}>;

export function masterExpiryLetter(facts: MasterExpiryFacts, reader: Reader, origin: string): Letter {
  const words = inLanguage(texts, reader.language);
  const id = formatId("mas", facts.id);
  const advice = facts.side === "master" ? words.ask : words.set(id);
  return letterOf({ ...facts, id }, [words.consequenceForAll, advice], reader, origin);
}

type Ending = Readonly<{ id: string; name: string; expiresAt: Date; days: number }>;

function letterOf(ending: Ending, paragraphs: readonly string[], reader: Reader, origin: string): Letter {
  const { id, name, expiresAt, days } = ending;
  const words = inLanguage(texts, reader.language);
  const headline = words.headline(name, days);
  return {
    subject: headline,
    headline: `${headline}.`,
    facts: [
      [words.account, `${name} (${id})`],
      [words.ends, writeInstant(expiresAt, reader)],
    ],
    paragraphs,
    action: { label: words.reference, href: `${origin}/docs` },
    why: words.why,
  };
}

type Texts = Readonly<{
  headline(name: string, days: number): string;
  account: string;
  ends: string;
  consequence: string;
  consequenceForAll: string;
  advice(id: string): string;
  ask: string;
  set(id: string): string;
  reference: string;
  why: string;
}>;

const texts: InLanguages<Texts> = {
  en: {
    headline: (name, days) => `${name} expires ${days === 1 ? "within a day" : `in ${days} days or less`}`,
    account: "Account",
    ends: "Ends",
    consequence:
      "From then on it can't send. What was accepted before is delivered, and its data and figures are kept.",
    advice: (id) =>
      `With your API key, POST /v1/subaccounts/${id}/renew sets another date, also after this one has passed.`,
    consequenceForAll:
      "From then on nothing is accepted from it, nor from any of its subaccounts. What was accepted before is delivered, and data and figures are kept.",
    ask: "Your provider can set another date.",
    set: (id) =>
      `With the operator's API key, PATCH /v1/masters/${id} sets another date as expires_at, or null for none.`,
    reference: "API reference",
    why: "This is sent 14, 7 and 1 days before an account expires, once each.",
  },
  de: {
    headline: (name, days) =>
      `${name} läuft ${days === 1 ? "in höchstens einem Tag" : `in höchstens ${days} Tagen`} ab`,
    account: "Konto",
    ends: "Endet",
    consequence:
      "Von da an kann es nicht mehr senden. Was vorher angenommen wurde, wird zugestellt; Daten und Zahlen bleiben erhalten.",
    advice: (id) =>
      `Mit Ihrem API-Schlüssel setzt POST /v1/subaccounts/${id}/renew ein neues Datum, auch wenn dieses schon vorbei ist.`,
    consequenceForAll:
      "Von da an wird von ihm und all seinen Unterkonten nichts mehr angenommen. Was vorher angenommen wurde, wird zugestellt; Daten und Zahlen bleiben erhalten.",
    ask: "Ihr Anbieter kann ein anderes Datum setzen.",
    set: (id) =>
      `Mit dem API-Schlüssel des Betreibers setzt PATCH /v1/masters/${id} ein anderes Datum als expires_at, oder null für keines.`,
    reference: "API-Referenz",
    why: "Diese Nachricht kommt 14, 7 und 1 Tage vor dem Ablauf eines Kontos, je einmal.",
  },
};
