/** Sender domains, oldest first. A subaccount sees its own and, without their proofs, those it is granted. */
import { sql } from "kysely";
import { findSubaccount, type SubaccountRef } from "../accounts/find.ts";
import { type Principal, reachOf } from "../accounts/principal.ts";
import type { Clock } from "../platform/clock.ts";
import type { Db } from "../platform/database.ts";
import type { DomainId, SubaccountId } from "../platform/ids.ts";
import { domainOf, type SenderDomain } from "./domain.ts";

export type DomainFilter = Readonly<{
  /** Of one subaccount, with those it is granted. */
  subaccount?: SubaccountRef | undefined;
  /** Only masters' own. */
  mastersOwn?: boolean | undefined;
  states?: readonly SenderDomain["state"][] | undefined;
  after?: DomainId | undefined;
  limit: number;
}>;

/** `limit + 1` rows, the last tells that there is more. @throws Fault not-found */
export async function listDomains(
  db: Db,
  principal: Principal,
  filter: DomainFilter,
  clock: Clock,
): Promise<SenderDomain[]> {
  const reach = reachOf(principal);
  const chosen = filter.subaccount && (await findSubaccount(db, principal, filter.subaccount, clock));
  const subaccountId = chosen?.id ?? reach.subaccountId;
  const masterId = chosen?.masterId ?? reach.masterId;
  let query = db
    .selectFrom("sender_domain as d")
    .selectAll()
    .orderBy("id")
    .limit(filter.limit + 1);
  if (masterId !== null) query = query.where("master_id", "=", masterId);
  if (subaccountId !== null) query = query.where(usableBy(subaccountId, chosen?.own ?? false));
  if (filter.mastersOwn) query = query.where("subaccount_id", "is", null);
  if (filter.states !== undefined) query = query.where("state", "in", [...filter.states]);
  if (filter.after !== undefined) query = query.where("id", ">", filter.after);
  const rows = await query.execute();
  return rows.map((row) => {
    const domain = domainOf(row);
    const granted = principal.kind === "subaccount" && row.subaccount_id === null;
    return granted ? { ...domain, records: [], seen: [] } : domain;
  });
}

function usableBy(id: SubaccountId, own: boolean) {
  return sql<boolean>`(d.subaccount_id = ${id} or (d.subaccount_id is null and d.state = 'verified' and (d.granted_to_all or ${own}
    or exists (select from domain_grant g where g.domain_id = d.id and g.subaccount_id = ${id}))))`;
}

/** To whom a master's own domain is granted by name, oldest first; `limit + 1` of them. */
export async function listGrants(
  db: Db,
  domain: SenderDomain,
  filter: Readonly<{ after?: SubaccountId | undefined; limit: number }>,
): Promise<SubaccountId[]> {
  let query = db.selectFrom("domain_grant").select("subaccount_id").where("domain_id", "=", domain.id);
  if (filter.after !== undefined) query = query.where("subaccount_id", ">", filter.after);
  const rows = await query
    .orderBy("subaccount_id")
    .limit(filter.limit + 1)
    .execute();
  return rows.map((row) => row.subaccount_id);
}
