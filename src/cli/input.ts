/** What is written on a command line, turned into what the rules take. A mistake is wrong usage and names itself. */
import { InvalidArgumentError } from "commander";
import { parseSort, type Sort } from "../accounts/sort.ts";
import { isMonth } from "../metering/months.ts";
import { formatId, type IdOf, type Prefix, parseId } from "../platform/ids.ts";
import type { NotificationEmail } from "../platform/schema.ts";

export function idOf<P extends Prefix>(prefix: P): (text: string) => IdOf[P] {
  return (text) => {
    const id = parseId(prefix, text);
    if (id === undefined) throw new InvalidArgumentError(`It must be an id like ${prefix}_01kb2m5xj7e1fr0x4m4f6a0z3q.`);
    return id;
  };
}

export type AccountRef = Readonly<{ kind: "master"; id: IdOf["mas"] } | { kind: "subaccount"; id: IdOf["sub"] }>;

/** `mas_...` or `sub_...` */
export function account(text: string): AccountRef {
  const master = parseId("mas", text);
  if (master !== undefined) return { kind: "master", id: master };
  const subaccount = parseId("sub", text);
  if (subaccount !== undefined) return { kind: "subaccount", id: subaccount };
  throw new InvalidArgumentError("It must be the id of a master (mas_...) or of a subaccount (sub_...).");
}

export type LimitedRef = Readonly<{ kind: "subaccount"; id: IdOf["sub"] } | { kind: "credential"; id: IdOf["cred"] }>;

/** `sub_...` or `cred_...` */
export function subaccountOrCredential(text: string): LimitedRef {
  const subaccount = parseId("sub", text);
  if (subaccount !== undefined) return { kind: "subaccount", id: subaccount };
  const credential = parseId("cred", text);
  if (credential !== undefined) return { kind: "credential", id: credential };
  throw new InvalidArgumentError("It must be the id of a subaccount (sub_...) or of a credential (cred_...).");
}

export function whole(text: string): number {
  if (!/^[+-]?\d{1,15}$/.test(text)) throw new InvalidArgumentError("It must be a whole number.");
  return Number(text);
}

export function decimal(text: string): number {
  if (!/^\d{1,9}(\.\d{1,4})?$/.test(text)) throw new InvalidArgumentError("It must be a number.");
  return Number(text);
}

/** `2026-08` */
export function month(text: string): string {
  if (!isMonth(text)) throw new InvalidArgumentError("It must be a month like 2026-08.");
  return text;
}

/** How many rows a list shows. */
export function rows(text: string): number {
  const wanted = whole(text);
  if (wanted < 1 || wanted > 100_000) throw new InvalidArgumentError("It must be from 1 to 100000.");
  return wanted;
}

/** What `none` is as the value of an option: commander takes null for a value that is missing. */
const NONE = Symbol("none");
export type None = typeof NONE;

/** Members as the rules take them: null for `none`. */
export function withNulls<T extends object>(
  options: T,
): { [K in keyof T]: Exclude<T[K], None> | (None extends T[K] ? null : never) } {
  const members = Object.entries(options).map(([name, value]) => [name, value === NONE ? null : value]);
  return Object.fromEntries(members);
}

export function orNull<T>(value: T | None): T | null {
  return value === NONE ? null : value;
}

/** A limit: a whole number, or `none`. */
export function unitsOrNone(text: string): number | None {
  return text === "none" ? NONE : whole(text);
}

/** `1000,2000,5000`, or `none`. */
export function unitsByDayOrNone(text: string): number[] | None {
  return text === "none" ? NONE : text.split(",").map(whole);
}

export function textOrNone(text: string): string | None {
  return text === "none" ? NONE : text;
}

/** `2026-12-31` or `2026-12-31T23:00:00Z`, or `none`. */
export function instantOrNone(text: string): Date | None {
  if (text === "none") return NONE;
  const at = /^\d{4}-\d{2}-\d{2}([T ].+)?$/.test(text) ? new Date(text) : new Date(Number.NaN);
  if (Number.isNaN(at.getTime()))
    throw new InvalidArgumentError("It must be a time like 2026-12-31T23:00:00Z, or none.");
  return at;
}

/** The same, and not `none`. */
export function instant(text: string): Date {
  const at = instantOrNone(text);
  if (at instanceof Date) return at;
  throw new InvalidArgumentError("It must be a time like 2026-12-31T23:00:00Z.");
}

/** `80,90,100` */
export function percents(text: string): number[] {
  return text.split(",").map(whole);
}

/** `a,b,c`, each one of `names`. */
export function listOf<Name extends string>(names: readonly Name[]): (text: string) => Name[] {
  return (text) => {
    const chosen = text.split(",").map((name) => name.trim());
    const wrong = chosen.find((name) => !names.includes(name as Name));
    if (wrong !== undefined) throw new InvalidArgumentError(`"${wrong}" is none of ${names.join(", ")}.`);
    return chosen as Name[];
  };
}

/** `-used_percent,name` */
export function sortBy<Name extends string>(names: readonly Name[]): (text: string) => Sort<Name>[] {
  return (text) => {
    const sorts = parseSort(text, names);
    if (sorts === undefined) {
      throw new InvalidArgumentError(`It must be up to three of ${names.join(", ")}; -name sorts downwards.`);
    }
    return sorts;
  };
}

/** `ops@acme.example` hears everything; `ops@acme.example=quota,billing` those topics. May be given several times. */
export function notificationEmail(text: string, before: readonly NotificationEmail[] | undefined): NotificationEmail[] {
  const [email = "", topics] = text.split("=");
  const entry = topics === undefined ? email : { email, topics: topics.split(",") };
  return [...(before ?? []), entry];
}

export function showAccount(ref: AccountRef): string {
  return ref.kind === "master" ? formatId("mas", ref.id) : formatId("sub", ref.id);
}

/** An id of an argument that takes several. */
export function eachId<P extends Prefix>(
  prefix: P,
): (text: string, before: readonly IdOf[P][] | undefined) => IdOf[P][] {
  return (text, before) => [...(before ?? []), idOf(prefix)(text)];
}
