/**
 * May this account put this domain into a sender? Asked for each message, so answered from memory when it can be.
 *
 * Invariant: a domain is its prover's with all its subdomains, but for those that another has proved: the longest proved
 * name decides. With the policy `any` an account may use what nobody has proved. A change is heard of at once.
 */
import { sql } from "kysely";
import type { AccountChanges } from "../accounts/changes.ts";
import { createRecent, type Soon, whenKnown } from "../accounts/recent.ts";
import type { SendingAccount } from "../accounts/sending.ts";
import type { Db } from "../platform/database.ts";

/** What the decision takes of a SendingAccount. */
export type Sender = Pick<SendingAccount, "masterId" | "subaccountId" | "own" | "senderPolicy">;

export type SenderDomains = Readonly<{
  /** @param domain lower-case A-labels, or an address literal in brackets */
  allowed(account: Sender, domain: string): Soon<boolean>;
}>;

type Holder = "this" | "other" | "nobody";

export function createSenderDomains(options: Readonly<{ db: Db; changes: AccountChanges }>): SenderDomains {
  const { db, changes } = options;
  const recent = createRecent<Holder>({
    changes,
    read: (key) => readHolder(db, key),
    concerns: (change, _, key) => change.kind === "domain" && isUnder(key.slice(key.lastIndexOf(" ") + 1), change.name),
  });
  return {
    allowed({ masterId, subaccountId, own, senderPolicy }, domain) {
      if (domain.includes(" ")) return false;
      const holder = recent.get(`${masterId} ${subaccountId} ${own} ${domain}`);
      return whenKnown(holder, (known) => known === "this" || (known === "nobody" && senderPolicy === "any"));
    },
  };
}

function isUnder(domain: string, name: string): boolean {
  return domain === name || domain.endsWith(`.${name}`);
}

async function readHolder(db: Db, key: string): Promise<Holder> {
  const [masterId, subaccountId, own, domain = ""] = key.split(" ");
  const labels = domain.split(".");
  const names = labels.slice(0, -1).map((_, i) => labels.slice(i).join("."));
  const { rows } = await sql<{ mine: boolean }>`
    select d.master_id = ${masterId}::uuid and (d.subaccount_id = ${subaccountId}::uuid
           or (d.subaccount_id is null and (d.granted_to_all or ${own === "true"}
               or exists (select from domain_grant g where g.domain_id = d.id and g.subaccount_id = ${subaccountId}::uuid)))) as mine
      from sender_domain d where d.name = any(${names}::text[]) and d.state = 'verified' order by length(d.name) desc limit 1`.execute(
    db,
  );
  const [row] = rows;
  if (row === undefined) return "nobody";
  return row.mine ? "this" : "other";
}
