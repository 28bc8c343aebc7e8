/** The members of a brand that can be given: one table for changing and auditing. Null takes one back. */
import * as rule from "../accounts/fields.ts";
import { asciiDomain, needsUtf8, parseAddress } from "../mail/address.ts";
import { readLogo } from "./logo.ts";
import type { BrandRow } from "./rows.ts";

/** Undefined: not given. */
export type BrandDetails = {
  productName?: string | null | undefined;
  supportAddress?: string | null | undefined;
  /** `#rrggbb` */
  colour?: string | null | undefined;
  footer?: string | null | undefined;
  senderAddress?: string | null | undefined;
  host?: string | null | undefined;
  /** A data URL. */
  logo?: string | null | undefined;
};

/** It stands in styles as it is. */
export const colour: rule.Rule = (value) =>
  typeof value === "string" && /^#[0-9a-f]{6}$/i.test(value) ? undefined : "This is not a colour like #1f4e79.";

/** Mails of ours are sent without SMTPUTF8 for their From. */
export const plainEmail: rule.Rule = (value) =>
  rule.email(value) ?? (needsUtf8(value as string) ? "Only ASCII may stand before the @." : undefined);

export const host: rule.Rule = (value) =>
  typeof value === "string" && hostName(value) !== undefined
    ? undefined
    : "This is not a host name like mail.acme.example.";

export const logo: rule.Rule = (value) => {
  const read = typeof value === "string" ? readLogo(value) : "This must be a data URL.";
  return typeof read === "string" ? read : undefined;
};

export const brandFields = {
  productName: { column: "product_name", rule: rule.orNull(rule.line(100)) },
  supportAddress: { column: "support_address", rule: rule.orNull(plainEmail) },
  colour: { column: "colour", rule: rule.orNull(colour) },
  footer: { column: "footer", rule: rule.orNull(rule.text(500)) },
  senderAddress: { column: "sender_address", rule: rule.orNull(plainEmail) },
  host: { column: "host", rule: rule.orNull(host) },
  logo: { column: "logo", rule: rule.orNull(logo) },
} as const satisfies Record<keyof BrandDetails, rule.Field>;

/** Lower-case A-labels of at least two labels; undefined unless it is the name of a host. */
export function hostName(text: string): string | undefined {
  const name = asciiDomain(text.replace(/\.$/, ""));
  return name?.includes(".") ? name : undefined;
}

/** As they are stored and compared; for members that have passed. */
export function normalDetails(details: BrandDetails): BrandDetails {
  const { colour, supportAddress, senderAddress, host, footer } = details;
  return {
    ...details,
    ...(colour && { colour: colour.toLowerCase() }),
    ...(supportAddress && { supportAddress: parseAddress(supportAddress) }),
    ...(senderAddress && { senderAddress: parseAddress(senderAddress) }),
    ...(host && { host: hostName(host) }),
    ...(footer && { footer: footer.replaceAll("\r\n", "\n") }),
  };
}

/** As the audit log keeps it: of a logo that there is one, and which. */
export function brandMembers(row: BrandRow): Record<string, unknown> {
  return rule.membersOf(brandFields, row);
}
