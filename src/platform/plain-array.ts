/** What stands in an array literal without quotes: ids, numbers, booleans, words of our own. */
export type PlainElement = string | number | boolean | null | undefined;

/**
 * An array parameter as PostgreSQL reads it. The driver quotes and escapes each element, which costs as much as the rest
 * of a large statement's parameters.
 *
 * Only for elements without quotes, backslashes, commas, braces, white space, and never for text from outside.
 */
export function plainArray(elements: readonly PlainElement[]): string {
  let text = "{";
  for (const [i, element] of elements.entries()) {
    if (i > 0) text += ",";
    text += element ?? "NULL";
  }
  return `${text}}`;
}

/** The same for any text; null is NULL. */
export function textArray(elements: readonly (string | null)[]): string {
  let text = "{";
  for (const [i, element] of elements.entries()) {
    if (i > 0) text += ",";
    text += element === null ? "NULL" : `"${SPECIAL.test(element) ? element.replace(SPECIALS, "\\$&") : element}"`;
  }
  return `${text}}`;
}

const SPECIAL = /["\\]/;
const SPECIALS = /["\\]/g;
