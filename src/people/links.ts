/**
 * Links that work once: invitations, resets, "log in as", raises.
 *
 * Invariant: a token is 160 random bits, stored as a keyed hash, and good for its purpose alone. Of any number of uses at the
 * same time one wins: using it is one update that only an unused row passes, in the transaction of what it is used for.
 * On failure of that transaction the link is unused again.
 */
import type { Selectable } from "kysely";
import type { Clock } from "../platform/clock.ts";
import type { Db } from "../platform/database.ts";
import { Fault } from "../platform/errors.ts";
import { type LinkId, type MasterId, type MemberId, newId, type PersonId, type SubaccountId } from "../platform/ids.ts";
import type { Schema } from "../platform/schema.ts";
import type { LinkPurpose } from "../platform/schema-people.ts";
import type { Keyring } from "../platform/secrets.ts";

export type { LinkPurpose } from "../platform/schema-people.ts";

export type NewLink = Readonly<{
  purpose: LinkPurpose;
  ttlMs: number;
  masterId?: MasterId | null;
  subaccountId?: SubaccountId | null;
  personId?: PersonId | null;
  memberId?: MemberId | null;
  /** What it was made for; no secrets. */
  data?: Readonly<Record<string, unknown>>;
}>;

export type Link = Selectable<Schema["link"]>;

type Keys = Pick<Keyring, "hash" | "newSecret">;

/** `token` goes into the link's path, and nowhere else. */
export async function createLink(
  trx: Db,
  link: NewLink,
  keyring: Keys,
  clock: Clock,
): Promise<Readonly<{ id: LinkId; token: string; expiresAt: Date }>> {
  const token = keyring.newSecret();
  const id = newId<LinkId>(clock);
  const now = clock.now();
  const expiresAt = new Date(now.getTime() + link.ttlMs);
  await trx
    .insertInto("link")
    .values({
      id,
      purpose: link.purpose,
      token_hash: hashOf(token, link.purpose, keyring),
      master_id: link.masterId ?? null,
      subaccount_id: link.subaccountId ?? null,
      person_id: link.personId ?? null,
      member_id: link.memberId ?? null,
      data: JSON.stringify(link.data ?? {}),
      created_at: now,
      expires_at: expiresAt,
    })
    .execute();
  return { id, token, expiresAt };
}

/** What a page shows before it is used: nothing changes. @throws Fault gone, in words for a person */
export async function readLink(
  db: Db,
  token: string,
  purpose: LinkPurpose,
  keyring: Keys,
  clock: Clock,
): Promise<Link> {
  const link = await db
    .selectFrom("link")
    .selectAll()
    .where("token_hash", "=", hashOf(token, purpose, keyring))
    .executeTakeFirst();
  if (link === undefined) throw gone("This link is not one of ours. Open it as it stands in the mail, in one piece.");
  if (link.used_at !== null) throw gone("This link has been used already. Each works once.");
  if (link.voided_at !== null)
    throw gone("This link is no longer valid: a newer one was sent, or the account was closed.");
  if (link.expires_at <= clock.now()) throw gone("This link has expired. Ask for a new one.");
  return link;
}

/** One of all who try at the same time gets it. @throws Fault as readLink */
export async function useLink(
  trx: Db,
  token: string,
  purpose: LinkPurpose,
  keyring: Keys,
  clock: Clock,
): Promise<Link> {
  const used = await trx
    .updateTable("link")
    .set({ used_at: clock.now() })
    .where("token_hash", "=", hashOf(token, purpose, keyring))
    .where("used_at", "is", null)
    .where("voided_at", "is", null)
    .where("expires_at", ">", clock.now())
    .returningAll()
    .executeTakeFirst();
  if (used !== undefined) return used;
  await readLink(trx, token, purpose, keyring, clock);
  throw gone("This link has been used already. Each works once.");
}

/** Those that are still open, for a member or a person: newer ones take their place, or nothing does. */
export async function voidLinks(
  trx: Db,
  of: Readonly<{ purpose: LinkPurpose; memberId?: MemberId; personId?: PersonId }>,
  clock: Clock,
): Promise<void> {
  let query = trx
    .updateTable("link")
    .set({ voided_at: clock.now() })
    .where("purpose", "=", of.purpose)
    .where("used_at", "is", null)
    .where("voided_at", "is", null);
  if (of.memberId !== undefined) query = query.where("member_id", "=", of.memberId);
  if (of.personId !== undefined) query = query.where("person_id", "=", of.personId);
  await query.execute();
}

/** Those that ended long ago. */
export async function forgetLinks(db: Db, clock: Clock): Promise<void> {
  const before = new Date(clock.now().getTime() - 30 * 86_400_000);
  await db.deleteFrom("link").where("expires_at", "<", before).execute();
}

function hashOf(token: string, purpose: LinkPurpose, keyring: Keys): Buffer {
  return keyring.hash(`link ${purpose} ${token}`);
}

const gone = (detail: string) => new Fault("gone", detail);
