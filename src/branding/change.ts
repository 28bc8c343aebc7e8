/**
 * Changing a brand: a merge patch of its members, null takes one back.
 *
 * Invariant: what is stored can stand in a page, a mail, a header and a style as it is; a host is taken once within a
 * master, and by nobody while another account has proven it. A certificate goes with the host that it is for.
 */

import { sql } from "kysely";
import { changedMembers, checkFields, columnsOf } from "../accounts/fields.ts";
import type { SubaccountRef } from "../accounts/find.ts";
import { requireChange } from "../accounts/permit.ts";
import type { Principal } from "../accounts/principal.ts";
import { requireVersion } from "../accounts/version.ts";
import { record } from "../audit/record.ts";
import type { Clock } from "../platform/clock.ts";
import type { Db } from "../platform/database.ts";
import { Fault } from "../platform/errors.ts";
import type { AccountId } from "../platform/ids.ts";
import { inTransaction } from "../platform/transaction.ts";
import { showAccount } from "./brand.ts";
import { covers, describeCertificate } from "./certificate.ts";
import { type BrandDetails, brandFields, brandMembers, normalDetails } from "./fields.ts";
import { accountOf, findOwner, type Owner } from "./find.ts";
import { readLogo } from "./logo.ts";
import { type BrandRow, readRows } from "./rows.ts";

export type Versioned = Readonly<{ version?: number | undefined }>;

/** A brand is its master's to choose, for its subaccounts too. @throws Fault forbidden for a subaccount itself */
export function requireBrandChange(principal: Principal): void {
  if (principal.kind === "subaccount" && principal.by === undefined && !principal.operator) {
    throw new Fault("forbidden", "A subaccount may not change its brand; its master may.");
  }
  requireChange(principal);
}

/**
 * @param ref a subaccount; undefined: the caller's own account
 * @param options version: of If-Match; 0 where nothing was chosen yet
 * @returns whose it is, and the hosts that it names now or did
 * @throws Fault not-found, forbidden, invalid, conflict (a taken host), precondition
 */
export async function changeBrand(
  db: Db,
  principal: Principal,
  ref: SubaccountRef | undefined,
  patch: BrandDetails,
  options: Versioned,
  clock: Clock,
): Promise<Owner & Readonly<{ hosts: readonly string[] }>> {
  requireBrandChange(principal);
  checkFields(brandFields, patch);
  return inTransaction(db, async (trx) => {
    const owner = await findOwner(trx, principal, ref, clock, "keep");
    const before = await lockBrand(trx, owner, options, clock);
    const { logo, ...plain } = normalDetails(patch);
    const columns = {
      ...columnsOf(brandFields, changedMembers<BrandDetails>(brandFields, before, plain)),
      ...(logo === undefined ? {} : logoColumns(logo)),
    };
    const hosts = [before.host, plain.host].filter((host) => host != null);
    if (Object.keys(columns).length === 0) return { ...owner, hosts };
    if ("host" in columns && plain.host != null) await requireFreeHost(trx, owner, plain.host);
    const homeless = before.certificate !== null && plain.host !== undefined && !fits(before.certificate, plain.host);
    await write(trx, owner, { ...columns, ...(homeless ? noCertificate : {}) }, clock);
    await tell(trx, principal, owner, before, homeless, clock);
    return { ...owner, hosts };
  });
}

/** The brand's row, made where there is none, locked until the transaction ends. @throws Fault precondition */
export async function lockBrand(trx: Db, owner: Owner, { version }: Versioned, clock: Clock): Promise<BrandRow> {
  const accountId = accountOf(owner);
  const made = { account_id: accountId, master_id: owner.masterId, updated_at: clock.now(), version: 0 };
  await trx
    .insertInto("brand")
    .values(made)
    .onConflict((conflict) => conflict.doNothing())
    .execute();
  await sql`select from brand where account_id = ${accountId} for update`.execute(trx);
  const row = await readOwn(trx, owner);
  requireVersion(row, version);
  return row;
}

export async function readOwn(db: Db, owner: Owner): Promise<BrandRow> {
  const rows = await readRows(db, owner);
  return rows.find((row) => row.accountId === accountOf(owner)) as BrandRow;
}

export const noCertificate = {
  certificate: null,
  certificate_key: null,
  certificate_ends_at: null,
  certificate_told: null,
} as const;

/** @throws Fault conflict, when another account of the same master has named the host */
export async function write(trx: Db, owner: Owner, columns: Record<string, unknown>, clock: Clock): Promise<void> {
  try {
    await trx
      .updateTable("brand")
      .set((eb) => ({ ...columns, updated_at: clock.now(), version: eb("version", "+", 1) }))
      .where("account_id", "=", accountOf(owner))
      .execute();
  } catch (error) {
    if ((error as { code?: string }).code === "23505") throw takenHost();
    throw error;
  }
}

function logoColumns(url: string | null): Record<string, unknown> {
  const read = url === null ? null : readLogo(url);
  if (read === null || typeof read === "string") return { logo: null, logo_type: null };
  return { logo: read.bytes, logo_type: read.type };
}

const fits = (certificate: string, host: string | null) => host !== null && covers(certificate, host);

/** Of another master, only a proven one counts: a name that is merely written down reserves nothing. */
async function requireFreeHost(trx: Db, owner: Owner, host: string): Promise<void> {
  const { rows } = await sql<{ account_id: AccountId }>`
    select b.account_id from brand b
     where b.host = ${host} and b.account_id <> ${accountOf(owner)}
       and (b.master_id = ${owner.masterId} or brand_name_proven(b.host, b.master_id, b.account_id)) limit 1`.execute(
    trx,
  );
  if (rows.length > 0) throw takenHost();
}

function takenHost(): Fault {
  const detail = "This host name is taken.";
  return new Fault("conflict", detail, [{ pointer: "/host", detail }]);
}

async function tell(
  trx: Db,
  principal: Principal,
  owner: Owner,
  before: BrandRow,
  homeless: boolean,
  clock: Clock,
): Promise<void> {
  const { masterId, subaccountId } = owner;
  const where = { principal, target: showAccount(accountOf(owner), masterId), masterId, subaccountId };
  const members = { before: brandMembers(before), after: brandMembers(await readOwn(trx, owner)) };
  await record(trx, { ...where, action: "branding.changed", ...members }, clock);
  if (!homeless || before.certificate === null) return;
  const removed = { before: certificateMembers(before.certificate), after: null };
  await record(trx, { ...where, action: "branding.certificate_removed", ...removed }, clock);
}

/** As the audit log keeps it. */
export function certificateMembers(pem: string): Record<string, unknown> {
  const { names, notAfter, fingerprint } = describeCertificate(pem);
  return { names, not_after: notAfter, fingerprint };
}
