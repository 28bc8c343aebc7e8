/** The words of an invitation. */
import { type InLanguages, inLanguage, type Reader, writeInstant } from "../letters/language.ts";
import type { Letter } from "../letters/letter.ts";

export type Invitation = Readonly<{ productName: string; href: string; expiresAt: Date }>;

export function inviteLetter({ productName, href, expiresAt }: Invitation, reader: Reader): Letter {
  return inLanguage(texts, reader.language)(productName, href, writeInstant(expiresAt, reader));
}

const texts: InLanguages<(product: string, href: string, until: string) => Letter> = {
  en: (product, href, until) => ({
    subject: `Your invitation to ${product}`,
    headline: `You are invited to ${product}.`,
    paragraphs: [
      "Open the link, give your name and choose a password; if you have one here already, log in with it.",
      `The link works once, until ${until}.`,
    ],
    action: { label: "Accept the invitation", href },
    why: "You get this because somebody who looks after the account has given your address. If you don't know why, do nothing.",
  }),
  de: (product, href, until) => ({
    subject: `Ihre Einladung zu ${product}`,
    headline: `Sie sind zu ${product} eingeladen.`,
    paragraphs: [
      "Öffnen Sie den Link, geben Sie Ihren Namen an und wählen Sie ein Passwort; haben Sie hier schon eines, melden Sie sich damit an.",
      `Der Link gilt einmal und bis ${until}.`,
    ],
    action: { label: "Einladung annehmen", href },
    why: "Sie erhalten dies, weil jemand, der das Konto betreut, Ihre Adresse angegeben hat. Wissen Sie nicht, warum, tun Sie nichts.",
  }),
};
