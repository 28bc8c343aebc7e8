/** The words of the pages in German. */
import type { Words } from "./words.ts";

export const de: Words = {
  frame: {
    error: "Fehler:",
    help: "Hilfe:",
    logIn: "Anmelden",
    yourAccount: "Ihr Konto",
    email: "E-Mail-Adresse",
    password: "Passwort",
  },
  unknown: {
    title: "Diese Seite gibt es nicht",
    why: "Vielleicht wurde die Adresse nicht ganz kopiert, oder die Seite wurde mitten in einem Formular verlassen.",
  },
  logIn: {
    forgotten: "Ich habe mein Passwort vergessen",
    code: "Code",
    codeTitle: "Zweiter Faktor",
    codeHint: "Sechs Ziffern aus Ihrer Authenticator-App oder einer Ihrer Wiederherstellungscodes.",
    again: "Von vorn beginnen",
  },
  faults: {
    denied: "Diese Adresse und dieses Passwort gehören nicht zusammen.",
    locked: "Zu viele Fehlversuche: aus Ihrem Netz meldet sich mit dieser Adresse fünf Minuten lang niemand an.",
    codeUsed: "Dieser Code stimmt nicht oder wurde schon benutzt.",
  },
};
