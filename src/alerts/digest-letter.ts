/** The words of a digest: a line for each alert, with when it was. */
import type { Contacts } from "../letters/contacts.ts";
import { type InLanguages, inLanguage, type Reader, writeInstant } from "../letters/language.ts";
import type { Letter } from "../letters/letter.ts";
import { alertHeadline } from "./alert-letter.ts";
import type { AlertContext } from "./read-alerts.ts";

/** Lines; the rest is counted. */
const MOST = 200;

/** `items`: at least one, in the order in which they happened. */
export function digestLetter(
  items: readonly AlertContext[],
  side: Contacts["side"],
  reader: Reader,
  origin: string,
): Letter {
  const words = inLanguage(texts, reader.language);
  const accounts = new Set(items.map(({ alert }) => alert.account_id)).size;
  const subject = words.subject(items.length, accounts);
  const more = items.length - MOST;
  return {
    subject,
    headline: `${subject}.`,
    facts: items
      .slice(0, MOST)
      .map((item) => [writeInstant(item.alert.created_at, reader), alertHeadline(item, side, reader)]),
    paragraphs: [...(more > 0 ? [words.more(more)] : []), words.list],
    action: { label: words.reference, href: `${origin}/docs` },
    why: words.why,
  };
}

type Texts = Readonly<{
  subject(alerts: number, accounts: number): string;
  more(alerts: number): string;
  list: string;
  reference: string;
  why: string;
}>;

const texts: InLanguages<Texts> = {
  en: {
    subject: (alerts, accounts) =>
      `${alerts === 1 ? "One alert" : `${alerts} alerts`} of ${accounts === 1 ? "one account" : `${accounts} accounts`}`,
    more: (alerts) => `And ${alerts} more.`,
    list: "With your API key, GET /v1/alerts lists them all.",
    reference: "API reference",
    why: "Alerts are told together, as chosen by alert_delivery or a rule; what is urgent comes at once.",
  },
  de: {
    subject: (alerts, accounts) =>
      `${alerts === 1 ? "Ein Hinweis" : `${alerts} Hinweise`} zu ${accounts === 1 ? "einem Konto" : `${accounts} Konten`}`,
    more: (alerts) => `Und ${alerts} weitere.`,
    list: "Mit Ihrem API-Schlüssel zeigt GET /v1/alerts alle.",
    reference: "API-Referenz",
    why: "Hinweise kommen gesammelt, wie es alert_delivery oder eine Regel sagt; was eilt, kommt sofort.",
  },
};
