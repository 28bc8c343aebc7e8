/**
 * Who hears of a topic: a subaccount, its master, or both. A master decides for all of its subaccounts.
 *
 * Invariant: each topic has an answer, whatever is stored; a topic that nobody has decided on follows the default.
 */
import type { ContactPolicy } from "../platform/schema.ts";
import type { Rule } from "./fields.ts";

export const contactTopics = ["review", "abuse", "quota", "billing", "expiry", "security", "support"] as const;
export type ContactTopic = (typeof contactTopics)[number];

export const hearers = ["subaccount", "master", "both"] as const;
export type Hearers = (typeof hearers)[number];

/** What a customer must answer for goes to it, too; what costs money is its reseller's to tell. */
export const defaultPolicy: Readonly<Record<ContactTopic, Hearers>> = {
  review: "both",
  abuse: "both",
  quota: "master",
  billing: "master",
  expiry: "master",
  security: "both",
  support: "both",
};

/** @param stored what a master has decided, as its row holds it */
export function contactPolicyOf(stored: ContactPolicy): Readonly<Record<ContactTopic, Hearers>> {
  const decided = (topic: ContactTopic) => stored[topic] ?? defaultPolicy[topic];
  return Object.fromEntries(contactTopics.map((topic) => [topic, decided(topic)])) as Record<ContactTopic, Hearers>;
}

/** Of a policy in parts: some topics, each with its hearers. */
export const contactPolicy: Rule = (value) => {
  const wrong = `This must be an object: for some of ${contactTopics.join(", ")} one of ${hearers.join(", ")}.`;
  if (typeof value !== "object" || value === null || Array.isArray(value)) return wrong;
  const known = Object.entries(value).every(
    ([topic, who]) => contactTopics.includes(topic as ContactTopic) && (who === undefined || hearers.includes(who)),
  );
  return known ? undefined : wrong;
};
