/** How a sender domain is shown. */
import { z } from "@hono/zod-openapi";
import type { SenderDomain } from "../domains/domain.ts";
import { instant, showId, showInstant, shownId } from "./fields.ts";

export const domainStates = ["pending", "verified", "failed"] as const;

const recordShape = z
  .strictObject({
    type: z.enum(["TXT"]),
    name: z.string(),
    value: z.string(),
    found: z.boolean().openapi({ description: "The last look-up saw it." }),
  })
  .openapi("DomainRecord");

export const domainShape = z
  .strictObject({
    id: shownId("dom"),
    name: z.string(),
    subaccount_id: shownId("sub").nullable().openapi({ description: "Null: the master's own." }),
    state: z.enum(domainStates),
    records: z.array(recordShape).openapi({ description: "What its owner has to publish." }),
    seen: z.array(z.string()).openapi({ description: "The TXT values that the last look-up saw." }),
    granted_to_all: z.boolean(),
    checked_at: instant.nullable(),
    verified_at: instant.nullable(),
    failing_since: instant.nullable().openapi({ description: "Not proven since then: it fails 72 h later." }),
    created_at: instant,
  })
  .openapi("Domain");

export function showDomain(domain: SenderDomain): z.output<typeof domainShape> {
  return {
    id: showId("dom", domain.id),
    name: domain.name,
    subaccount_id: showId("sub", domain.subaccountId),
    state: domain.state,
    records: domain.records.map((record) => ({ ...record })),
    seen: [...domain.seen],
    granted_to_all: domain.grantedToAll,
    checked_at: showInstant(domain.checkedAt),
    verified_at: showInstant(domain.verifiedAt),
    failing_since: showInstant(domain.failingSince),
    created_at: showInstant(domain.createdAt),
  };
}
