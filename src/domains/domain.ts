/**
 * Sender domains: who may put which domain into the sender of a message.
 *
 * Invariant: a name is verified for one account on the whole platform (a unique index); a claim that is not verified
 * reserves nothing. Look-ups are narrowed by the principal: another tenant's id is `not-found`.
 */
import type { Selectable } from "kysely";
import { type Principal, reachOf } from "../accounts/principal.ts";
import { asciiDomain } from "../mail/address.ts";
import type { Db } from "../platform/database.ts";
import { invalid, notFound } from "../platform/errors.ts";
import type { DomainId, MasterId, SubaccountId } from "../platform/ids.ts";
import type { Schema } from "../platform/schema.ts";
import { isPublicSuffix } from "./public-suffix.ts";

/** What the owner has to publish. `found`: the last look-up saw it. */
export type DomainRecord = Readonly<{ type: "TXT"; name: string; value: string; found: boolean }>;

export type SenderDomain = Readonly<{
  id: DomainId;
  masterId: MasterId;
  /** Null: the master's own, usable by its own subaccount and by those it is granted to. */
  subaccountId: SubaccountId | null;
  /** Lower-case A-labels. */
  name: string;
  state: "pending" | "verified" | "failed";
  records: readonly DomainRecord[];
  /** The TXT values that the last look-up saw. */
  seen: readonly string[];
  checkedAt: Date | null;
  verifiedAt: Date | null;
  /** Verified, but not proven at the last look-ups: it fails 72 h after this. */
  failingSince: Date | null;
  grantedToAll: boolean;
  createdAt: Date;
  version: number;
}>;

export type DomainRow = Selectable<Schema["sender_domain"]>;

/** Where the proof stands, and what it says. */
export const proofName = (name: string): string => `_postmeter.${name}`;
export const proofValue = (token: string): string => `postmeter-verify=${token}`;

/** Lower-case A-labels of a name that somebody can own. @throws Fault invalid at /name */
export function ownableName(text: string): string {
  const name = asciiDomain(text.trim().replace(/\.$/, ""));
  if (name === undefined) throw invalid("/name", "This is not a domain name like customer.example.");
  if (proofName(name).length > 253) throw invalid("/name", "This domain name is too long.");
  if (isPublicSuffix(name)) throw invalid("/name", "Anybody may register names under this one: name one of them.");
  return name;
}

export function domainOf(row: DomainRow): SenderDomain {
  const value = proofValue(row.token);
  return {
    id: row.id,
    masterId: row.master_id,
    subaccountId: row.subaccount_id,
    name: row.name,
    state: row.state,
    records: [{ type: "TXT", name: proofName(row.name), value, found: row.found.includes(value) }],
    seen: row.found,
    checkedAt: row.checked_at,
    verifiedAt: row.verified_at,
    failingSince: row.failing_since,
    grantedToAll: row.granted_to_all,
    createdAt: row.created_at,
    version: row.version,
  };
}

/** A subaccount reaches its own only, not those it is granted. */
export function selectDomains(db: Db, principal: Principal | Readonly<{ kind: "system" }>) {
  const query = db.selectFrom("sender_domain").selectAll();
  if (principal.kind === "system") return query;
  const { masterId, subaccountId } = reachOf(principal);
  const ofMaster = masterId === null ? query : query.where("master_id", "=", masterId);
  return subaccountId === null ? ofMaster : ofMaster.where("subaccount_id", "=", subaccountId);
}

/** @throws Fault not-found */
export async function findDomain(db: Db, principal: Principal, id: DomainId): Promise<SenderDomain> {
  const row = await selectDomains(db, principal).where("id", "=", id).executeTakeFirst();
  if (row === undefined) throw notFound("domain");
  return domainOf(row);
}

/** Locked until the transaction ends. @throws Fault not-found */
export async function lockDomain(
  trx: Db,
  principal: Principal | Readonly<{ kind: "system" }>,
  id: DomainId,
): Promise<DomainRow> {
  const row = await selectDomains(trx, principal).where("id", "=", id).forUpdate().executeTakeFirst();
  if (row === undefined) throw notFound("domain");
  return row;
}
