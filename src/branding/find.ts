/**
 * The brand of one account, as those who may see it are shown it: what it has chosen, and what its people see.
 *
 * Invariant: whose it is follows from accounts/find.ts, narrowed by the principal: another tenant's is `not-found`.
 */
import { createHash } from "node:crypto";
import { findMaster, findSubaccount, type SubaccountRef } from "../accounts/find.ts";
import type { Principal } from "../accounts/principal.ts";
import type { Clock } from "../platform/clock.ts";
import type { Db } from "../platform/database.ts";
import type { AccountId, MasterId, SubaccountId } from "../platform/ids.ts";
import { type Chosen, COLOUR, choose, hostInUse, logoPath, PRODUCT, senderInUse } from "./brand.ts";
import { type CertificateFacts, describeCertificate } from "./certificate.ts";
import { type BrandRow, type LogoType, readRows } from "./rows.ts";

/** Whose brand it is. */
export type Owner = Readonly<{ masterId: MasterId; subaccountId: SubaccountId | null }>;

/** What its people see. Null for a host: ours. */
export type Effective = Readonly<{
  productName: Chosen<string>;
  supportAddress: Chosen<string | null>;
  colour: Chosen<string>;
  footer: Chosen<string | null>;
  senderAddress: Chosen<string>;
  host: Chosen<string | null>;
  /** Path of the picture. */
  logo: Chosen<string | null>;
}>;

export type OwnBrand = Owner &
  Readonly<{
    /** Without a choice yet: empty, of version 0. */
    own: BrandRow;
    certificate: CertificateFacts | null;
    effective: Effective;
    version: number;
  }>;

/** @param ref a subaccount; undefined: the caller's own account. @throws Fault not-found */
export async function findOwner(
  db: Db,
  principal: Principal,
  ref: SubaccountRef | undefined,
  clock: Clock,
  purpose: "read" | "keep" = "read",
): Promise<Owner> {
  const wanted = ref ?? (principal.kind === "subaccount" ? principal.subaccountId : undefined);
  if (wanted === undefined) {
    const { id } = await findMaster(db, principal, undefined, clock, purpose);
    return { masterId: id, subaccountId: null };
  }
  const { masterId, id } = await findSubaccount(db, principal, wanted, clock, purpose);
  return { masterId, subaccountId: id };
}

/** @param systemFrom the relay's own sender address. @throws Fault not-found */
export async function findBrand(
  db: Db,
  principal: Principal,
  ref: SubaccountRef | undefined,
  clock: Clock,
  systemFrom: string,
): Promise<OwnBrand> {
  return readBrand(db, await findOwner(db, principal, ref, clock), systemFrom);
}

/** For an owner that was found. */
export async function readBrand(db: Db, owner: Owner, systemFrom: string): Promise<OwnBrand> {
  const rows = await readRows(db, owner);
  const accountId = accountOf(owner);
  const own = rows.find((row) => row.accountId === accountId) ?? emptyRow(owner);
  return {
    ...owner,
    own,
    certificate: own.certificate === null ? null : describeCertificate(own.certificate),
    effective: {
      productName: choose(rows, (row) => row.productName, PRODUCT),
      supportAddress: choose<string | null>(rows, (row) => row.supportAddress, null),
      colour: choose(rows, (row) => row.colour, COLOUR),
      footer: choose<string | null>(rows, (row) => row.footer, null),
      senderAddress: choose(rows, senderInUse, systemFrom),
      host: choose<string | null>(rows, hostInUse, null),
      logo: choose<string | null>(rows, logoPath, null),
    },
    version: own.version,
  };
}

export function accountOf({ masterId, subaccountId }: Owner): AccountId {
  return subaccountId ?? masterId;
}

function emptyRow(owner: Owner): BrandRow {
  return {
    accountId: accountOf(owner),
    masterId: owner.masterId,
    productName: null,
    supportAddress: null,
    colour: null,
    footer: null,
    senderAddress: null,
    senderProven: false,
    host: null,
    hostProven: false,
    logo: null,
    certificate: null,
    updatedAt: new Date(0),
    version: 0,
  };
}

export type StoredLogo = Readonly<{ type: LogoType; bytes: Buffer; hash: string }>;

/** For everybody: it is in mails and on pages before log-in. Undefined: that account has none of its own. */
export async function readLogo(db: Db, accountId: AccountId): Promise<StoredLogo | undefined> {
  const row = await db
    .selectFrom("brand")
    .select(["logo", "logo_type"])
    .where("account_id", "=", accountId)
    .executeTakeFirst();
  if (row?.logo == null || row.logo_type === null) return undefined;
  const hash = createHash("sha256").update(row.logo).digest("base64url").slice(0, 22);
  return { type: row.logo_type, bytes: row.logo, hash };
}
