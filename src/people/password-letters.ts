/** The words about passwords: the link that sets one, and the news that one was set. */
import { type InLanguages, inLanguage, type Reader, writeInstant } from "../letters/language.ts";
import type { Letter } from "../letters/letter.ts";

export type Reset = Readonly<{ productName: string; href: string; expiresAt: Date }>;

export function resetLetter({ productName, href, expiresAt }: Reset, reader: Reader): Letter {
  return inLanguage(resets, reader.language)(productName, href, writeInstant(expiresAt, reader));
}

const resets: InLanguages<(product: string, href: string, until: string) => Letter> = {
  en: (product, href, until) => ({
    subject: `A new password for ${product}`,
    headline: `Somebody has asked for a new password for ${product}.`,
    paragraphs: [
      `If it was you, open the link and choose one. The link works once, until ${until}.`,
      "If it was not you, do nothing: your password stays as it is.",
    ],
    action: { label: "Choose a password", href },
    why: "You get this because your address was given on the page for forgotten passwords.",
  }),
  de: (product, href, until) => ({
    subject: `Ein neues Passwort für ${product}`,
    headline: `Für ${product} wurde ein neues Passwort verlangt.`,
    paragraphs: [
      `Waren Sie es, öffnen Sie den Link und wählen Sie eines. Der Link gilt einmal und bis ${until}.`,
      "Waren Sie es nicht, tun Sie nichts: Ihr Passwort bleibt, wie es ist.",
    ],
    action: { label: "Passwort wählen", href },
    why: "Sie erhalten dies, weil Ihre Adresse auf der Seite für vergessene Passwörter angegeben wurde.",
  }),
};

export type PasswordChanged = Readonly<{ productName: string; temporary: boolean; at: Date; href: string }>;

export function passwordChangedLetter({ productName, temporary, at, href }: PasswordChanged, reader: Reader): Letter {
  const words = inLanguage(changes, reader.language);
  return words[temporary ? "temporary" : "own"](productName, writeInstant(at, reader), href);
}

type Change = Readonly<Record<"temporary" | "own", (product: string, at: string, href: string) => Letter>>;

const changes: InLanguages<Change> = {
  en: {
    own: (product, at, href) => ({
      subject: `Your password for ${product} was changed`,
      headline: `Your password for ${product} was changed on ${at}.`,
      paragraphs: ["Where you were logged in, you have to log in again.", "If it was not you, set a new one at once."],
      action: { label: "It was not me", href },
      why: "You get this whenever your password changes.",
    }),
    temporary: (product, at, href) => ({
      subject: `A temporary password for ${product} was set`,
      headline: `Whoever looks after your account with ${product} has set a temporary password on ${at}.`,
      paragraphs: [
        "He tells it to you himself; at the next log-in you choose one of your own.",
        "If you did not ask for it, ask him, or set a new one yourself.",
      ],
      action: { label: "Set a password", href },
      why: "You get this whenever your password changes.",
    }),
  },
  de: {
    own: (product, at, href) => ({
      subject: `Ihr Passwort für ${product} wurde geändert`,
      headline: `Ihr Passwort für ${product} wurde am ${at} geändert.`,
      paragraphs: [
        "Wo Sie angemeldet waren, melden Sie sich neu an.",
        "Waren Sie es nicht, setzen Sie sofort ein neues.",
      ],
      action: { label: "Das war ich nicht", href },
      why: "Sie erhalten dies bei jeder Änderung Ihres Passworts.",
    }),
    temporary: (product, at, href) => ({
      subject: `Für ${product} wurde ein vorläufiges Passwort gesetzt`,
      headline: `Wer Ihr Konto bei ${product} betreut, hat am ${at} ein vorläufiges Passwort gesetzt.`,
      paragraphs: [
        "Sie erfahren es von dort; bei der nächsten Anmeldung wählen Sie ein eigenes.",
        "Haben Sie nicht darum gebeten, fragen Sie nach, oder setzen Sie selbst ein neues.",
      ],
      action: { label: "Passwort setzen", href },
      why: "Sie erhalten dies bei jeder Änderung Ihres Passworts.",
    }),
  },
};
