/**
 * What a member of an account may be. A rule says what is wrong with a value, or undefined.
 *
 * Invariant: whatever passes can be stored, shown on one line where it is a line, and sent in a header.
 */
import { isIP } from "node:net";
import { parseAddress } from "../mail/address.ts";
import { Fault, type FaultDetail } from "../platform/errors.ts";

export type Rule = (value: unknown) => string | undefined;

/** `column` is also the member's name at the doors. `json`: stored as jsonb. */
export type Field = Readonly<{ column: string; rule: Rule; json?: true }>;
export type Fields = Readonly<Record<string, Field>>;

/** Far below 2^53, also when multiplied by a ceiling factor or summed over all subaccounts. */
export const MAX_UNITS = 1_000_000_000_000;
const MAX_METADATA_BYTES = 16_384;
const MAX_DEPTH = 8;

export const topics = ["quota", "billing", "abuse", "security"] as const;

/** Checks every member that is there; all mistakes are told at once. @throws Fault invalid */
export function checkFields(fields: Fields, input: Readonly<Record<string, unknown>>): void {
  const mistakes: FaultDetail[] = [];
  for (const [name, { column, rule }] of Object.entries(fields)) {
    const detail = input[name] === undefined ? undefined : rule(input[name]);
    if (detail !== undefined) mistakes.push({ pointer: `/${column}`, detail });
  }
  const [first] = mistakes;
  if (first !== undefined) throw new Fault("invalid", `${first.pointer.slice(1)}: ${first.detail}`, mistakes);
}

/** The members that are there, as columns of an insert or update. */
export function columnsOf(fields: Fields, input: Readonly<Record<string, unknown>>): Record<string, unknown> {
  const given = Object.entries(fields).filter(([name]) => input[name] !== undefined);
  return Object.fromEntries(
    given.map(([name, { column, json }]) => {
      const value = input[name];
      return [column, json && value !== null ? JSON.stringify(value) : value];
    }),
  );
}

/** All members by their names at the doors, for the audit log. */
export function membersOf(fields: Fields, account: Readonly<Record<string, unknown>>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(fields).map(([name, { column }]) => [column, account[name] ?? null]));
}

/** The members of `patch` that differ from the account's. */
export function changedMembers<D extends object>(fields: Fields, account: object, patch: D): Partial<D> {
  const old = account as Record<string, unknown>;
  const differs = ([name, value]: [string, unknown]) =>
    name in fields && value !== undefined && JSON.stringify(value) !== JSON.stringify(old[name] ?? null);
  return Object.fromEntries(Object.entries(patch).filter(differs)) as Partial<D>;
}

/** @throws Fault forbidden when a member is given that only somebody higher may change */
export function requireOnly(fields: Fields, allowed: readonly string[], patch: object): void {
  const other = Object.entries(patch).find(([name, value]) => value !== undefined && !allowed.includes(name));
  if (other === undefined) return;
  const column = fields[other[0]]?.column ?? other[0];
  const detail = `This account may not change ${column} itself.`;
  throw new Fault("forbidden", detail, [{ pointer: `/${column}`, detail }]);
}

export function orNull(rule: Rule): Rule {
  return (value) => (value === null ? undefined : rule(value));
}

/** One line of text that shows something. */
export function line(max: number): Rule {
  return (value) => {
    if (typeof value !== "string") return "This must be text.";
    if (value.length > max) return `This has at most ${max} characters.`;
    if (/[\p{Cc}\p{Cs}\u2028\u2029]/u.test(value)) return "Control characters are not allowed.";
    return /\S/.test(value) ? undefined : "This must not be empty.";
  };
}

export function text(max: number): Rule {
  return (value) => {
    if (typeof value !== "string") return "This must be text.";
    if (value.length > max) return `This has at most ${max} characters.`;
    return /^(?:[^\p{Cc}\p{Cs}]|[\n\r\t])*$/u.test(value) ? undefined : "Control characters are not allowed.";
  };
}

export const units: Rule = (value) =>
  Number.isInteger(value) && (value as number) >= 0 && (value as number) <= MAX_UNITS
    ? undefined
    : `This must be a whole number from 0 to ${MAX_UNITS}.`;

const spans = ["minute", "hour", "day"];

/** `{minute?, hour?, day?}`, each from 1; null takes one away. */
export const rateLimits: Rule = (value) => {
  const wrong = "This is an object of minute, hour and day.";
  if (typeof value !== "object" || value === null || Array.isArray(value)) return wrong;
  const given = Object.entries(value);
  if (given.some(([span]) => !spans.includes(span))) return wrong;
  const counts = given.every(([, most]) => most === null || (units(most) === undefined && most >= 1));
  return counts ? undefined : `Each is a whole number from 1 to ${MAX_UNITS}.`;
};

export const flag: Rule = (value) => (typeof value === "boolean" ? undefined : "This must be true or false.");

export const instant: Rule = (value) =>
  value instanceof Date && !Number.isNaN(value.getTime()) ? undefined : "This is not an instant.";

export function oneOf(values: readonly string[]): Rule {
  return (value) => (values.includes(value as string) ? undefined : `This must be one of: ${values.join(", ")}.`);
}

/** `digits`: how many may follow the decimal point. */
export function between(min: number, max: number, digits = 0): Rule {
  const kind = digits === 0 ? "a whole number" : `a number with at most ${digits} decimals`;
  return (value) =>
    typeof value === "number" && value >= min && value <= max && Number(value.toFixed(digits)) === value
      ? undefined
      : `This must be ${kind} from ${min} to ${max}.`;
}

export const slug: Rule = (value) =>
  typeof value === "string" && /^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/.test(value)
    ? undefined
    : "A slug has 1 to 63 characters a-z, 0-9 and hyphens, none at either end.";

export const email: Rule = (value) =>
  typeof value === "string" && !value.endsWith("]") && parseAddress(value) !== undefined
    ? undefined
    : "This is not an e-mail address.";

/** An IANA name; offsets like +01:00 have no summer time and are refused. */
export const timeZone: Rule = (value) => {
  const wrong = "This is not an IANA time zone like Europe/Berlin.";
  if (typeof value !== "string" || value.length > 64 || !/^[A-Za-z][\w+-]*(?:\/[\w+-]+)*$/.test(value)) return wrong;
  try {
    new Intl.DateTimeFormat("en", { timeZone: value });
    return undefined;
  } catch {
    return wrong;
  }
};

export const language: Rule = (value) => {
  try {
    return typeof value === "string" && value.length <= 35 && Intl.getCanonicalLocales(value).length === 1
      ? undefined
      : "This is not a language tag like de or pt-BR.";
  } catch {
    return "This is not a language tag like de or pt-BR.";
  }
};

/** Percent: 1-100, ascending, each once. */
export const alertThresholds: Rule = (value) => {
  if (!Array.isArray(value) || value.length < 1 || value.length > 10)
    return "This must be a list of 1 to 10 percentages.";
  const ascending = value.every((level, i) => i === 0 || level > value[i - 1]);
  const valid = value.every((level) => Number.isInteger(level) && level >= 1 && level <= 100);
  return valid && ascending ? undefined : "Percentages are whole numbers from 1 to 100, ascending, each once.";
};

/** Strings hear of everything, `{email, topics}` only of those. */
export function notificationEmails(min: number): Rule {
  return (value) => {
    if (!Array.isArray(value) || value.length < min || value.length > 20) {
      return `This must be a list of ${min} to 20 e-mail addresses or {email, topics}.`;
    }
    const wrong = value.find((item) => !isNotificationEmail(item));
    return wrong === undefined
      ? undefined
      : `${JSON.stringify(wrong)} is neither an e-mail address nor {email, topics}.`;
  };
}

function isNotificationEmail(item: unknown): boolean {
  if (typeof item === "string") return email(item) === undefined;
  if (typeof item !== "object" || item === null || Object.keys(item).sort().join() !== "email,topics") return false;
  const { email: address, topics: chosen } = item as { email: unknown; topics: unknown };
  if (email(address) !== undefined || !Array.isArray(chosen) || chosen.length === 0) return false;
  return new Set(chosen).size === chosen.length && chosen.every((topic) => topics.includes(topic));
}

/** A client network in CIDR form, or one address. */
export const network: Rule = (value) => {
  const [address = "", bits, ...rest] = typeof value === "string" ? value.split("/") : [];
  const family = isIP(address);
  const most = family === 4 ? 32 : 128;
  const valid = bits === undefined || (/^\d{1,3}$/.test(bits) && Number(bits) <= most);
  return family !== 0 && valid && rest.length === 0
    ? undefined
    : "This is not a network like 192.0.2.0/24 or 2001:db8::/32.";
};

/** An object of JSON values. */
export const metadata: Rule = (value) => {
  if (typeof value !== "object" || value === null || Array.isArray(value)) return "This must be an object.";
  if (!isStorable(value, 0)) return `Values are JSON without NUL characters, at most ${MAX_DEPTH} levels deep.`;
  return JSON.stringify(value).length <= MAX_METADATA_BYTES
    ? undefined
    : `As JSON this has at most ${MAX_METADATA_BYTES} characters.`;
};

/** jsonb takes neither NUL nor half a surrogate pair. */
function isStorable(value: unknown, depth: number): boolean {
  if (depth > MAX_DEPTH) return false;
  if (typeof value === "string") return !value.includes("\0") && value.isWellFormed();
  if (typeof value === "number") return Number.isFinite(value);
  if (typeof value === "boolean" || value === null) return true;
  if (Array.isArray(value)) return value.every((item) => isStorable(item, depth + 1));
  if (typeof value !== "object") return false;
  return Object.entries(value).every(([name, item]) => isStorable(name, depth) && isStorable(item, depth + 1));
}
