/** Rows for tests of rooms below the accounts' verbs. */
import { randomBytes } from "node:crypto";
import { type Clock, createClock } from "../../src/platform/clock.ts";
import type { Db } from "../../src/platform/database.ts";
import { type CredentialId, type MasterId, newId, type SubaccountId } from "../../src/platform/ids.ts";

type At = Readonly<{ db: Db; clock?: Clock }>;

export type MasterSeed = Readonly<{
  name?: string;
  allowance?: number | null;
  overage?: "block" | "bill";
  ceilingFactor?: number;
  anchorDay?: number;
  timeZone?: string;
  senderPolicy?: "verified" | "any";
  alertThresholds?: number[];
  notificationEmails?: (string | { email: string; topics: string[] })[];
}>;

/** A master with its own subaccount (limit null). allowance: null unless told. */
export async function seedMaster(
  at: At,
  seed: MasterSeed = {},
): Promise<{ masterId: MasterId; ownSubaccountId: SubaccountId }> {
  const clock = at.clock ?? createClock();
  const masterId = newId<MasterId>(clock);
  const ownSubaccountId = newId<SubaccountId>(clock);
  const now = clock.now();
  await at.db.transaction().execute(async (trx) => {
    await trx
      .insertInto("master")
      .values({
        id: masterId,
        name: seed.name ?? "Acme Hosting",
        allowance: seed.allowance ?? null,
        overage: seed.overage ?? "block",
        ceiling_factor: seed.ceilingFactor ?? 3,
        anchor_day: seed.anchorDay ?? 1,
        time_zone: seed.timeZone ?? "UTC",
        sender_policy: seed.senderPolicy ?? "any",
        ...(seed.alertThresholds ? { alert_thresholds: seed.alertThresholds } : {}),
        notification_emails: JSON.stringify(seed.notificationEmails ?? ["ops@acme.example"]),
        own_subaccount_id: ownSubaccountId,
        created_at: now,
        updated_at: now,
      })
      .execute();
    await insertSubaccount(trx, masterId, ownSubaccountId, now, { name: "Own sending", monthlyLimit: null });
  });
  return { masterId, ownSubaccountId };
}

export type SubaccountSeed = Readonly<{
  name?: string;
  monthlyLimit?: number | null;
  state?: "pending" | "active" | "disabled" | "closed" | "archived";
  alertThresholds?: number[] | null;
  externalId?: string;
  expiresAt?: Date;
}>;

/** monthlyLimit: 100 unless told; null is no limit of its own. */
export async function seedSubaccount(at: At, masterId: MasterId, seed: SubaccountSeed = {}): Promise<SubaccountId> {
  const clock = at.clock ?? createClock();
  const id = newId<SubaccountId>(clock);
  await insertSubaccount(at.db, masterId, id, clock.now(), seed);
  return id;
}

async function insertSubaccount(
  db: Db,
  masterId: MasterId,
  id: SubaccountId,
  now: Date,
  seed: SubaccountSeed,
): Promise<void> {
  await db
    .insertInto("subaccount")
    .values({
      id,
      master_id: masterId,
      name: seed.name ?? "Corner Shop",
      slug: `s-${id}`,
      state: seed.state ?? "active",
      monthly_limit: seed.monthlyLimit === undefined ? 100 : seed.monthlyLimit,
      alert_thresholds: seed.alertThresholds ?? null,
      external_id: seed.externalId ?? null,
      expires_at: seed.expiresAt ?? null,
      created_at: now,
      updated_at: now,
    })
    .execute();
}

export type CredentialSeed = Readonly<{ username?: string; secretHash?: Buffer }>;

/** An SMTP credential; give the hash where the test logs in. */
export async function seedCredential(
  at: At,
  masterId: MasterId,
  subaccountId: SubaccountId,
  seed: CredentialSeed = {},
): Promise<{ credentialId: CredentialId; username: string }> {
  const clock = at.clock ?? createClock();
  const credentialId = newId<CredentialId>(clock);
  const username = seed.username ?? `u-${randomBytes(6).toString("hex")}`;
  await at.db
    .insertInto("credential")
    .values({
      id: credentialId,
      subaccount_id: subaccountId,
      master_id: masterId,
      username,
      secret_hash: seed.secretHash ?? randomBytes(32),
      created_at: clock.now(),
    })
    .execute();
  return { credentialId, username };
}
