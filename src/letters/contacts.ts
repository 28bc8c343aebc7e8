/**
 * Who is told what. The master's contact policy says for each topic whether the master hears of it, the subaccount, or both.
 *
 * The master's side are the notification e-mails that want the topic: the subaccount's own list, where it has one, in place
 * of the master's. The subaccount's side is its owner.
 */
import { type ContactTopic, defaultPolicy, type Hearers } from "../accounts/contact-policy.ts";
import { parseAddress } from "../mail/address.ts";
import type { NotificationEmail } from "../platform/schema.ts";
import { languageOf, type Reader } from "./language.ts";

export type { ContactTopic } from "../accounts/contact-policy.ts";

/** Topics that are missing follow the default. */
type ContactPolicy = Readonly<Partial<Record<ContactTopic, Hearers>>>;

/** The topics that notification e-mails know; the others go to those who hear of these. */
const listTopic: Readonly<Record<ContactTopic, "quota" | "billing" | "abuse" | "security">> = {
  quota: "quota",
  billing: "billing",
  expiry: "billing",
  abuse: "abuse",
  review: "abuse",
  support: "abuse",
  security: "security",
};

type MasterSide = Readonly<{
  notificationEmails: readonly NotificationEmail[];
  contactPolicy?: ContactPolicy;
  language: string | null;
  timeZone: string;
}>;
type SubaccountSide = Readonly<{
  notificationEmails: readonly NotificationEmail[] | null;
  ownerEmail: string | null;
  language: string | null;
  timeZone: string | null;
}>;

/** Those of one side, who read the same letter. */
export type Contacts = Readonly<{ side: "master" | "subaccount"; to: readonly string[]; reader: Reader }>;

/** Sides without an address are left out; an address that both sides have hears once, as the master. */
export function contactsOf(topic: ContactTopic, master: MasterSide, subaccount: SubaccountSide | null): Contacts[] {
  const policy = subaccount === null ? "master" : (master.contactPolicy?.[topic] ?? defaultPolicy[topic]);
  const timeZone = master.timeZone;
  const above =
    policy === "subaccount"
      ? []
      : wanting(listTopic[topic], subaccount?.notificationEmails ?? master.notificationEmails);
  const owner = policy === "master" ? null : (subaccount?.ownerEmail ?? null);
  const below = owner === null ? [] : each([owner]).filter((address) => !holds(above, address));
  const readers = {
    master: { language: languageOf(master.language), timeZone },
    subaccount: {
      language: languageOf(subaccount?.language ?? null, master.language),
      timeZone: subaccount?.timeZone ?? timeZone,
    },
  };
  const sides = [
    { side: "master", to: above, reader: readers.master },
    { side: "subaccount", to: below, reader: readers.subaccount },
  ] as const;
  return sides.filter(({ to }) => to.length > 0);
}

function wanting(topic: string, list: readonly NotificationEmail[]): string[] {
  return each(
    list.flatMap((entry) => {
      if (typeof entry === "string") return [entry];
      return entry.topics.includes(topic) ? [entry.email] : [];
    }),
  );
}

/** Each once, whatever its case. */
function each(addresses: readonly string[]): string[] {
  const valid = addresses.map(parseAddress).filter((address) => address !== undefined);
  return [...new Map(valid.map((address) => [address.toLowerCase(), address])).values()];
}

const holds = (list: readonly string[], address: string) =>
  list.some((other) => other.toLowerCase() === address.toLowerCase());
