/** Who is told what. */
import { parseAddress } from "../mail/address.ts";
import type { NotificationEmail } from "../platform/schema.ts";

export type Topic = "quota" | "billing" | "abuse" | "security";

/**
 * The addresses that want to hear of a topic, each once. A plain string wants all topics. The subaccount's own list, where
 * it has one, replaces the master's.
 */
export function recipientsOf(
  topic: Topic,
  master: readonly NotificationEmail[],
  subaccount: readonly NotificationEmail[] | null,
): string[] {
  const wanted = (subaccount ?? master).flatMap((entry) => {
    if (typeof entry === "string") return [entry];
    return entry.topics.includes(topic) ? [entry.email] : [];
  });
  const addresses = wanted.map(parseAddress).filter((address) => address !== undefined);
  return [...new Map(addresses.map((address) => [address.toLowerCase(), address])).values()];
}
