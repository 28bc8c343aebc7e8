/**
 * A subaccount's members as cells of a table: how they are written, and how they are read again.
 *
 * Invariant: the text of a member, given back unchanged, changes nothing. Blank means none; a limit is never lifted by a blank.
 */
import type { Subaccount } from "../accounts/account.ts";
import type { SubaccountDetails } from "../accounts/subaccount-fields.ts";

type Member = keyof SubaccountDetails;

/** `read` gives a value for the rules of accounts/subaccount-fields, or says what is wrong with the cell. */
export type Column = Readonly<{
  member: Member;
  text(subaccount: Subaccount): string;
  read(cell: string): Readonly<{ value: unknown }> | Readonly<{ detail: string }>;
}>;

const orNull = (cell: string) => ({ value: cell === "" ? null : cell });

const plain = (member: Member): Column => ({
  member,
  text: (subaccount) => (subaccount[member] as string | null) ?? "",
  read: orNull,
});

/** Never null. */
const required = (member: "name" | "slug"): Column => ({ ...plain(member), read: (cell) => ({ value: cell }) });

const instant = (member: "expiresAt" | "acceptedTermsAt"): Column => ({
  member,
  text: (subaccount) => subaccount[member]?.toISOString() ?? "",
  read(cell) {
    if (cell === "") return { value: null };
    const value = new Date(cell);
    const zoned = /^\d{4}-\d\d-\d\dT\d\d:\d\d(?::\d\d(?:\.\d+)?)?(?:Z|[+-]\d\d:\d\d)$/.test(cell);
    return zoned && !Number.isNaN(value.getTime())
      ? { value }
      : { detail: "This is not an instant like 2026-12-31T23:00:00Z." };
  },
});

const words = (cell: string) => cell.split(/\s+/).filter((word) => word !== "");

export const columns = {
  external_id: plain("externalId"),
  name: required("name"),
  slug: required("slug"),
  plan: plain("plan"),
  billing_profile: plain("billingProfile"),
  monthly_limit: {
    member: "monthlyLimit",
    text: ({ monthlyLimit }) => (monthlyLimit === null ? "" : String(monthlyLimit)),
    read(cell) {
      if (cell === "none") return { value: null };
      return /^\d{1,15}$/.test(cell) ? { value: Number(cell) } : { detail: "Give a whole number, or none." };
    },
  },
  owner_name: plain("ownerName"),
  owner_email: plain("ownerEmail"),
  notification_emails: {
    member: "notificationEmails",
    // Topics stand in the API alone.
    text: ({ notificationEmails }) =>
      notificationEmails?.map((one) => (typeof one === "string" ? one : one.email)).join(" ") ?? "",
    read: (cell) => ({ value: cell === "" ? null : words(cell) }),
  },
  alert_thresholds: {
    member: "alertThresholds",
    text: ({ alertThresholds }) => alertThresholds?.join(" ") ?? "",
    read: (cell) => ({ value: cell === "" ? null : words(cell).map(Number) }),
  },
  region: plain("region"),
  language: plain("language"),
  time_zone: plain("timeZone"),
  public_message: plain("publicMessage"),
  notes: plain("notes"),
  accepted_terms_at: instant("acceptedTermsAt"),
  expires_at: instant("expiresAt"),
} as const satisfies Record<string, Column>;

export type ColumnName = keyof typeof columns;
export const columnNames = Object.keys(columns) as ColumnName[];

/** Of the table that is downloaded, but not ours to set: passed over when it comes back. */
export const shownOnly: readonly string[] = [
  ...["master_id", "state", "used", "top_up", "remaining", "used_percent", "refused", "corrections"],
  ...["created_at", "updated_at"],
];
