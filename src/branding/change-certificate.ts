/**
 * The certificate of a brand's host, for SMTP by SNI.
 *
 * Invariant: the key is stored encrypted, bound to its account, and is shown to nobody. A certificate without a host to be
 * for is not taken.
 */
import type { SubaccountRef } from "../accounts/find.ts";
import type { Principal } from "../accounts/principal.ts";
import { record } from "../audit/record.ts";
import type { Clock } from "../platform/clock.ts";
import type { Db } from "../platform/database.ts";
import { Fault, notFound } from "../platform/errors.ts";
import type { AccountId } from "../platform/ids.ts";
import type { Keyring } from "../platform/secrets.ts";
import { inTransaction } from "../platform/transaction.ts";
import { showAccount } from "./brand.ts";
import { readPair } from "./certificate.ts";
import { certificateMembers, lockBrand, noCertificate, requireBrandChange, type Versioned, write } from "./change.ts";
import { accountOf, findOwner, type Owner } from "./find.ts";

/** PEM: the certificate with those that lead to its root, and its key without a passphrase. */
export type GivenPair = Readonly<{ certificate: string; privateKey: string }>;

/** What binds the encrypted key to its place. */
export const keyContext = (accountId: AccountId): string => `brand:${accountId}`;

/** @throws Fault not-found, forbidden, invalid at /certificate or /private_key, conflict without a host, precondition */
export async function setCertificate(
  db: Db,
  principal: Principal,
  ref: SubaccountRef | undefined,
  given: GivenPair,
  options: Versioned & Readonly<{ keyring: Keyring }>,
  clock: Clock,
): Promise<Owner & Readonly<{ host: string }>> {
  requireBrandChange(principal);
  return inTransaction(db, async (trx) => {
    const owner = await findOwner(trx, principal, ref, clock, "keep");
    const { host, certificate: former } = await lockBrand(trx, owner, options, clock);
    if (host === null) throw new Fault("conflict", "This brand has no host of its own yet: set host first.");
    const { certificate, key, endsAt } = readPair(given, host, clock.now());
    const encrypted = options.keyring.encrypt(Buffer.from(key), keyContext(accountOf(owner)));
    const columns = { certificate, certificate_key: encrypted, certificate_ends_at: endsAt, certificate_told: null };
    await write(trx, owner, columns, clock);
    const members = {
      before: former === null ? null : certificateMembers(former),
      after: certificateMembers(certificate),
    };
    await note(trx, principal, "branding.certificate_set", owner, members, clock);
    return { ...owner, host };
  });
}

/** @throws Fault not-found, also without a certificate, forbidden, precondition */
export async function removeCertificate(
  db: Db,
  principal: Principal,
  ref: SubaccountRef | undefined,
  options: Versioned,
  clock: Clock,
): Promise<Owner & Readonly<{ host: string | null }>> {
  requireBrandChange(principal);
  return inTransaction(db, async (trx) => {
    const owner = await findOwner(trx, principal, ref, clock, "keep");
    const { host, certificate } = await lockBrand(trx, owner, options, clock);
    if (certificate === null) throw notFound("certificate");
    await write(trx, owner, noCertificate, clock);
    const members = { before: certificateMembers(certificate), after: null };
    await note(trx, principal, "branding.certificate_removed", owner, members, clock);
    return { ...owner, host };
  });
}

type Members = Readonly<{ before: Record<string, unknown> | null; after: Record<string, unknown> | null }>;

async function note(trx: Db, principal: Principal, action: string, owner: Owner, members: Members, clock: Clock) {
  const { masterId, subaccountId } = owner;
  const target = showAccount(accountOf(owner), masterId);
  await record(trx, { principal, action, target, ...members, masterId, subaccountId }, clock);
}
