/** A letter to a person, as its parts; it is set as text and as HTML, which say the same. */
import { type Brand, inkOn } from "../branding/brand.ts";
import { escapeHtml } from "../mail/compose.ts";
import { type InLanguages, inLanguage, type Language } from "./language.ts";

export type Letter = Readonly<{
  subject: string;
  /** The first sentence: what has happened. */
  headline: string;
  facts?: readonly (readonly [name: string, value: string])[];
  paragraphs: readonly string[];
  /** What can be done about it: a link. */
  action?: Readonly<{ label: string; href: string }>;
  /** Why it was sent, and to whom. */
  why: string;
}>;

export type SetLetter = Readonly<{ subject: string; text: string; html: string }>;

const help: InLanguages<(address: string) => string> = {
  en: (address) => `Questions? Write to ${address}.`,
  de: (address) => `Fragen? Schreiben Sie an ${address}.`,
};

export function setLetter(letter: Letter, brand: Brand, language: Language): SetLetter {
  const help = supportLine(brand, language);
  return { subject: letter.subject, text: asText(letter, brand, help), html: asHtml(letter, brand, help, language) };
}

function supportLine({ supportAddress }: Brand, language: Language): string | null {
  return supportAddress === null ? null : inLanguage(help, language)(supportAddress);
}

function asText({ headline, facts = [], paragraphs, action, why }: Letter, brand: Brand, help: string | null): string {
  const width = Math.max(12, ...facts.map(([name]) => name.length + 2));
  const parts = [
    headline,
    facts.map(([name, value]) => `${`${name}:`.padEnd(width)}${value}`).join("\n"),
    ...paragraphs,
    action === undefined ? "" : `${action.label}:\n${action.href}`, // on a line of its own no encoding breaks it
    help ?? "",
    `-- \n${[brand.productName, why, brand.footer].filter((line) => line !== null).join("\n")}`,
  ];
  return `${parts.filter((part) => part !== "").join("\n\n")}\n`;
}

/** Tables and inline styles: what mail programs understand. The colour stands where it can be missing. */
function asHtml(letter: Letter, brand: Brand, help: string | null, language: Language): string {
  const { subject, headline, facts = [], paragraphs, action, why } = letter;
  const e = escapeHtml;
  const logo =
    brand.logoUrl === null ? "" : `<img src="${e(brand.logoUrl)}" alt="" height="32" style="vertical-align:middle"> `;
  const rows = facts.map(
    ([name, value]) => `<tr><th align="left" style="padding-right:1em">${e(name)}</th><td>${e(value)}</td></tr>`,
  );
  const table = rows.length === 0 ? "" : `<table cellspacing="0" cellpadding="2">\n${rows.join("\n")}\n</table>\n`;
  const button =
    action === undefined
      ? ""
      : `<p><a href="${e(action.href)}" style="display:inline-block;padding:.6em 1em;border-radius:4px;text-decoration:none;background:${brand.colour};color:${inkOn(brand.colour)}">${e(action.label)}</a></p>
<p style="color:#555;font-size:smaller">${e(action.href)}</p>\n`;
  const small = [brand.productName, why, brand.footer].filter((line) => line !== null).map(e);
  return `<!doctype html>
<html lang="${language}"><head><meta charset="utf-8"><title>${e(subject)}</title></head>
<body style="font-family:sans-serif;line-height:1.5;color:#222;max-width:40em">
<p style="border-bottom:3px solid ${brand.colour};padding-bottom:.5em">${logo}<strong>${e(brand.productName)}</strong></p>
<p><strong>${e(headline)}</strong></p>
${table}${paragraphs.map((paragraph) => `<p>${e(paragraph)}</p>\n`).join("")}${button}${help === null ? "" : `<p>${e(help)}</p>\n`}<p style="color:#555;font-size:smaller">${small.join("<br>")}</p>
</body></html>
`;
}
