/**
 * In which language a page speaks where nobody is known yet: the first that the browser asks for and we write, else English.
 *
 * Invariant: a language has all words or is none. What is said no with and is not in the table stays English.
 */
import { type Language, languageOf } from "../letters/language.ts";
import type { Visit } from "./visit.ts";
import { de } from "./words-de.ts";
import { en } from "./words-en.ts";

export type Words = typeof en;
export type Tongue = Readonly<{ language: Language; words: Words }>;

const tables: Readonly<Record<Language, Words>> = { en, de };

export const english: Tongue = { language: "en", words: en };

/** By Accept-Language; the answer says that it depends on it. */
export function tongueOf(c: Visit): Tongue {
  c.header("Vary", "Accept-Language", { append: true });
  const language = languageOf(...acceptedLanguages(c.req.header("accept-language")));
  return { language, words: tables[language] };
}

const MAX_LANGUAGES = 20;

/** Of Accept-Language (RFC 9110, section 12.5.4), most wanted first. A range with a weight that is none is left out. */
function acceptedLanguages(header = ""): string[] {
  return header
    .split(",", MAX_LANGUAGES)
    .map((range) => {
      const [tag = "", weight] = range.split(";").map((part) => part.trim());
      const quality = weight === undefined ? 1 : Number(/^q=(0(?:\.\d{0,3})?|1(?:\.0{0,3})?)$/i.exec(weight)?.[1] ?? 0);
      return { tag, quality };
    })
    .filter(({ quality }) => quality > 0)
    .sort((a, b) => b.quality - a.quality)
    .map(({ tag }) => tag);
}

/** What was said no with, in these words. */
export function told(said: string, { faults }: Words): string {
  const names = Object.keys(en.faults) as (keyof Words["faults"])[];
  const name = names.find((one) => en.faults[one] === said);
  return name === undefined ? said : faults[name];
}
