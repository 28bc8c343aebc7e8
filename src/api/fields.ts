/** The fields that bodies, queries and answers are made of: what they accept, and how they stand in /openapi.json. */
import { z } from "@hono/zod-openapi";
import { ramp as rampRule } from "../accounts/daily-cap.ts";
import type { Rule } from "../accounts/fields.ts";
import * as rules from "../accounts/fields.ts";
import { formatId, type IdOf, type Prefix, parseId } from "../platform/ids.ts";

/** A schema that also obeys a rule of a room, so that the rule has one place and its text one wording. */
export function ruled<S extends z.ZodType>(schema: S, rule: Rule): S {
  return schema.superRefine((value, context) => {
    const detail = rule(value);
    if (detail !== undefined) context.addIssue({ code: "custom", message: detail });
  });
}

/** One line of text that shows something. */
export function line(max: number) {
  return ruled(z.string(), rules.line(max)).openapi({ minLength: 1, maxLength: max });
}

/** Text of several lines; may be empty. */
export function text(max: number) {
  return ruled(z.string(), rules.text(max)).openapi({ maxLength: max });
}

export const units = ruled(z.int(), rules.units).openapi({
  minimum: 0,
  maximum: rules.MAX_UNITS,
  description: "Unique envelope recipients.",
});

export const email = ruled(z.string(), rules.email).openapi({ format: "email" });

const mostOf = (span: string) =>
  z
    .int()
    .min(1)
    .max(rules.MAX_UNITS)
    .nullable()
    .optional()
    .openapi({ description: `Units in any ${span}.` });

/** Limits of a short time, as they are given: a member that is null goes. */
export const rateLimits = z
  .strictObject({ day: mostOf("24 hours"), hour: mostOf("60 minutes"), minute: mostOf("60 seconds") })
  .openapi({
    example: { minute: 60, hour: 1000 },
    description: "Refused with 451 above it. Null: none. Room comes back at most a sixtieth of the span late.",
  });

/** Caps of the first day, the second and so on. */
export const ramp = ruled(z.array(z.int()), rampRule).openapi({
  example: [1000, 2000, 5000, 10000, 20000],
  description: "Units in any 24 hours on the first day, the second and so on; afterwards free.",
});

/** As they are shown: those that there are. */
export const shownRateLimits = z
  .strictObject({ day: z.int().optional(), hour: z.int().optional(), minute: z.int().optional() })
  .nullable()
  .openapi({ example: { hour: 1000, minute: 60 } });

/** An id of that kind: shown as TypeID, read as the id inside. */
export function idField<P extends Prefix>(prefix: P) {
  return z
    .string()
    .transform((value, context): IdOf[P] => {
      const id = parseId(prefix, value);
      if (id !== undefined) return id;
      context.addIssue({ code: "custom", message: `This is not an id of the form ${prefix}_...` });
      return z.NEVER;
    })
    .openapi({ pattern: `^${prefix}_[0-7][0-9a-hjkmnp-tv-z]{25}$`, example: exampleOf(prefix) });
}

const exampleOf = (prefix: Prefix) => `${prefix}_01kb2m5xj7e1fr0x4m4f6a0z3q`;

/** An id in an answer. */
export function shownId(prefix: Prefix) {
  return z.string().openapi({ example: exampleOf(prefix) });
}

/** The parameters of `/.../{id}`. */
export function idParams<P extends Prefix>(prefix: P) {
  return z.object({ id: idField(prefix) });
}

/** An instant in an answer: UTC with Z. */
export const instant = z.iso.datetime().openapi({ example: "2026-11-22T09:30:00.000Z" });

export function showInstant(date: Date): string;
export function showInstant(date: Date | null): string | null;
export function showInstant(date: Date | null): string | null {
  return date === null ? null : date.toISOString();
}

/** A future or past instant in a body, with an offset or Z. */
export const instantField = z.iso
  .datetime({ offset: true, error: "This is not an instant like 2026-12-31T23:00:00Z." })
  .transform((value) => new Date(value));

/** The start of a period in the master's time zone. */
export const dateField = z.iso.date("This is not a date like 2026-11-01.").openapi({ example: "2026-11-01" });

export function showId<P extends Prefix>(prefix: P, id: IdOf[P]): string;
export function showId<P extends Prefix>(prefix: P, id: IdOf[P] | null): string | null;
export function showId<P extends Prefix>(prefix: P, id: IdOf[P] | null): string | null {
  return id === null ? null : formatId(prefix, id);
}

/** A whole number in a query. */
export function integerParam(min: number, max: number) {
  return z
    .string()
    .regex(/^\d{1,15}$/, "This is not a whole number.")
    .transform(Number)
    .refine((value) => value >= min && value <= max, `This must be from ${min} to ${max}.`)
    .openapi({ type: "integer", minimum: min, maximum: max });
}

/** The parameters of every list. */
export const pageParams = {
  limit: integerParam(1, 100).optional().openapi({ description: "How many, from 1 to 100; 25 by default." }),
  cursor: z
    .string()
    .max(1000)
    .regex(/^[\w-]+$/, "This is no cursor.")
    .optional()
    .openapi({ description: "`next_cursor` of the page before." }),
};

export const DEFAULT_LIMIT = 25;

/** `{data, has_more, next_cursor}` */
export function listOf<S extends z.ZodType>(item: S) {
  return z.strictObject({ data: z.array(item), has_more: z.boolean(), next_cursor: z.string().nullable() });
}

export const timeZone = ruled(z.string(), rules.timeZone).openapi({ example: "Europe/Berlin" });
export const language = ruled(z.string(), rules.language).openapi({ example: "de" });

const notificationEmail = z.union([
  email,
  z.strictObject({ email, topics: z.array(z.enum(rules.topics)).min(1).max(rules.topics.length) }),
]);

/** A string hears everything; an object only its topics. */
export const notificationEmails = ruled(z.array(notificationEmail), rules.notificationEmails(1)).openapi({
  minItems: 1,
  maxItems: 20,
});

/** Percent of the limit. */
export const alertThresholds = ruled(z.array(z.int()), rules.alertThresholds).openapi({
  example: [80, 90, 95, 100],
  description: "Percent of the limit, ascending.",
});

/** The body of a transition: none, or an empty object. */
export const noMembers = z.strictObject({}).openapi({ example: {} });
