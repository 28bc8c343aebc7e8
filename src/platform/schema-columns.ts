/**
 * Kinds of columns. A jsonb column is read as its value and written as text (`JSON.stringify`): an array would else become a
 * Postgres array.
 */
import type { ColumnType } from "kysely";

export type Json<T> = ColumnType<T, string, string>;
export type NullableJson<T> = ColumnType<T | null, string | null | undefined, string | null>;
/** A column with a default that is not null. */
export type JsonWithDefault<T> = ColumnType<T, string | undefined, string>;
/** Who hears of a topic; one that is missing follows the default of accounts/contact-policy.ts. */
export type ContactPolicy = Readonly<Record<string, "subaccount" | "master" | "both">>;
/** A string is told everything; with topics (quota, billing, abuse, security) only those. */
export type NotificationEmail = string | { email: string; topics: string[] };
