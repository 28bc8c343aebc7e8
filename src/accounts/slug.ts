/** Slugs are unique on the whole platform and fit for a host name; external ids are unique within a master. */
import { randomBytes } from "node:crypto";
import type { Insertable } from "kysely";
import type { Db } from "../platform/database.ts";
import { Fault } from "../platform/errors.ts";
import type { MasterId, SubaccountId } from "../platform/ids.ts";
import type { Schema } from "../platform/schema.ts";
import { base32 } from "../platform/secrets.ts";

/** As a label of a host name. */
const MAX_SLUG = 63;

/** The part of a name that fits; "account" where nothing does. At most 40 characters. */
export function slugOf(name: string): string {
  const slug = name
    .normalize("NFKD")
    .replace(/\p{M}/gu, "")
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, "-")
    .replace(/^-+/, "")
    .slice(0, 40)
    .replace(/-+$/, "");
  return slug === "" ? "account" : slug;
}

/** For a slug that is taken: another that hardly is. */
export function otherSlug(slug: string): string {
  return `${slug}-${base32(randomBytes(5))}`;
}

type NewSubaccount = Omit<Insertable<Schema["subaccount"]>, "slug">;

/**
 * Inserts a subaccount under the slug it asks for, else under one made of its name.
 * @throws Fault conflict at /external_id or /slug when another has it
 */
export async function insertWithSlug(trx: Db, row: NewSubaccount & { slug?: string | undefined }): Promise<void> {
  const base = row.slug ?? slugOf(row.name);
  for (let slug = base, tries = 0; tries < 5; slug = otherSlug(base), tries++) {
    const inserted = await trx
      .insertInto("subaccount")
      .values({ ...row, slug })
      .onConflict((conflict) => conflict.doNothing())
      .returning("id")
      .executeTakeFirst();
    if (inserted !== undefined) return;
    await requireFreeExternalId(trx, row.master_id, row.external_id ?? null, row.id);
    if (row.slug !== undefined) throw taken("/slug", "slug");
  }
  throw new Fault("unavailable", "No free slug was found; try again.");
}

/** @throws Fault conflict */
export async function requireFreeExternalId(
  trx: Db,
  masterId: MasterId,
  externalId: string | null,
  except: SubaccountId,
): Promise<void> {
  if (externalId === null) return;
  const holder = await trx
    .selectFrom("subaccount")
    .select("id")
    .where("master_id", "=", masterId)
    .where("external_id", "=", externalId)
    .where("id", "<>", except)
    .executeTakeFirst();
  if (holder !== undefined) throw taken("/external_id", "external id");
}

/** @throws Fault conflict */
export async function requireFreeSlug(trx: Db, slug: string, except: SubaccountId): Promise<void> {
  const query = trx.selectFrom("subaccount").select("id").where("slug", "=", slug).where("id", "<>", except);
  if ((await query.executeTakeFirst()) !== undefined) throw taken("/slug", "slug");
}

/** Of any tenant: slugs are names of the whole platform. `suggestion`: what is free instead, or the slug itself. */
export async function checkSlug(db: Db, slug: string): Promise<Readonly<{ available: boolean; suggestion: string }>> {
  const numbered = Array.from({ length: 9 }, (_, n) => `${slug.slice(0, MAX_SLUG - 2)}-${n + 2}`);
  const rows = await db
    .selectFrom("subaccount")
    .select("slug")
    .where("slug", "in", [slug, ...numbered])
    .execute();
  const taken = new Set(rows.map((row) => row.slug));
  const free = [slug, ...numbered].find((one) => !taken.has(one)) ?? otherSlug(slug.slice(0, 40));
  return { available: free === slug, suggestion: free };
}

function taken(pointer: string, what: string): Fault {
  const detail = `Another subaccount has this ${what}.`;
  return new Fault("conflict", detail, [{ pointer, detail }]);
}
