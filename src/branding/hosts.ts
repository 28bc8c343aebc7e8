/**
 * From a host name, as a client of HTTP or TLS gives it, to the brand that goes by it.
 *
 * Invariant: a host counts only while its domain is proven, and never where it is one of our own names; what is told from
 * memory is a few seconds old at most, and was dropped when the brand or the proof changed, on every node.
 * Names that are nobody's are remembered too: most clients ask for ours or for none.
 */
import { sql } from "kysely";
import type { AccountChanges } from "../accounts/changes.ts";
import { createRecent, type Soon, whenKnown } from "../accounts/recent.ts";
import type { Db } from "../platform/database.ts";
import type { AccountId, MasterId, SubaccountId } from "../platform/ids.ts";
import { type Brand, type BrandDefaults, brandOf } from "./brand.ts";
import { hostName } from "./fields.ts";

export type BrandHost = Readonly<{
  /** Lower-case A-labels. */
  host: string;
  accountId: AccountId;
  masterId: MasterId;
  /** Null: the master's, for its subaccounts as far as they have no other. */
  subaccountId: SubaccountId | null;
  /** Another one for each certificate; null without one. */
  certificateMark: string | null;
}>;

export type BrandHosts = Readonly<{
  /** Undefined: it is no brand's. At once where it is known. */
  find(name: string): Soon<BrandHost | undefined>;
}>;

export type BrandHostsOptions = Readonly<{
  db: Db;
  changes: Pick<AccountChanges, "heard" | "count" | "subscribe">;
  /** The relay's own names. */
  ours: readonly string[];
}>;

type Known = BrandHost | Readonly<{ host: null }>;

const MAX_KNOWN = 20_000;

export function createBrandHosts({ db, changes, ours }: BrandHostsOptions): BrandHosts {
  const own = new Set(["localhost", ...ours.map((name) => name.toLowerCase())]);
  const recent = createRecent<Known>({
    changes,
    max: MAX_KNOWN,
    read: (name) => readHost(db, name),
    concerns: (change, _, name) =>
      (change.kind === "host" && change.name === name) ||
      (change.kind === "domain" && (name === change.name || name.endsWith(`.${change.name}`))),
  });
  return {
    find(name) {
      const key = hostName(name);
      return key === undefined || own.has(key) ? undefined : whenKnown(recent.get(key), branded);
    },
  };
}

function branded(known: Known | undefined): BrandHost | undefined {
  return known === undefined || known.host === null ? undefined : known;
}

async function readHost(db: Db, host: string): Promise<Known> {
  const { rows } = await sql<BrandHost>`
    select b.host, b.account_id as "accountId", b.master_id as "masterId", md5(b.certificate) as "certificateMark",
           case when b.account_id <> b.master_id then b.account_id end as "subaccountId"
      from brand b where b.host = ${host} and brand_name_proven(b.host, b.master_id, b.account_id)`.execute(db);
  return rows[0] ?? { host: null };
}

/** The brand that a page is to be shown in, and whose people it is for. */
export type HostBrand = Readonly<{ brand: Brand; masterId: MasterId; subaccountId: SubaccountId | null }>;

/**
 * For pages that are asked for by a browser.
 * @param header of Host: with a port or without, whatever was sent
 * @returns undefined: ours
 */
export async function brandForHost(
  db: Db,
  hosts: BrandHosts,
  header: string | undefined,
  defaults: BrandDefaults,
): Promise<HostBrand | undefined> {
  const found = await hosts.find((header ?? "").replace(/:\d{1,5}$/, ""));
  if (found === undefined) return undefined;
  const { masterId, subaccountId } = found;
  return { brand: await brandOf(db, found, defaults), masterId, subaccountId };
}
