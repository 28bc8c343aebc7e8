/** Brands and proven domains as rows, and pictures as small as they can be. */
import { type AccountId, type DomainId, type MasterId, newId, type SubaccountId } from "../../src/platform/ids.ts";
import type { TestDatabase } from "./database.ts";

/** A domain that is proven, without a look-up. */
export async function prove(
  { db, clock }: TestDatabase,
  name: string,
  masterId: MasterId,
  subaccountId: SubaccountId | null = null,
): Promise<DomainId> {
  const id = newId<DomainId>(clock);
  await db
    .insertInto("sender_domain")
    .values({
      id,
      master_id: masterId,
      subaccount_id: subaccountId,
      name,
      state: "verified",
      token: "t",
      verified_at: clock.now(),
      created_at: clock.now(),
    })
    .execute();
  return id;
}

/** Its proof was not found for too long. */
export async function fail({ db }: TestDatabase, id: DomainId): Promise<void> {
  await db.updateTable("sender_domain").set({ state: "failed", verified_at: null }).where("id", "=", id).execute();
}

export async function brandRow({ db }: TestDatabase, accountId: AccountId) {
  return db.selectFrom("brand").selectAll().where("account_id", "=", accountId).executeTakeFirst();
}

const chunk = (type: string, data: Buffer) => {
  const head = Buffer.alloc(8);
  head.writeUInt32BE(data.length, 0);
  head.write(type, 4, "latin1");
  return Buffer.concat([head, data, Buffer.alloc(4)]);
};

/** `padding`: bytes more. */
export function png(width = 16, height = 16, padding = 0): Buffer {
  const header = Buffer.alloc(13);
  header.writeUInt32BE(width, 0);
  header.writeUInt32BE(height, 4);
  const signature = Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]);
  return Buffer.concat([
    signature,
    chunk("IHDR", header),
    chunk("IDAT", Buffer.alloc(padding)),
    chunk("IEND", Buffer.alloc(0)),
  ]);
}

export function jpeg(width = 16, height = 16): Buffer {
  const app0 = Buffer.from([0xff, 0xe0, 0x00, 0x10, ...Buffer.from("JFIF\0"), 1, 1, 0, 0, 1, 0, 1, 0, 0]);
  const frame = Buffer.from([
    0xff,
    0xc0,
    0x00,
    0x0b,
    8,
    height >> 8,
    height & 255,
    width >> 8,
    width & 255,
    1,
    1,
    0x11,
    0,
  ]);
  return Buffer.concat([Buffer.from([0xff, 0xd8]), app0, frame, Buffer.from([0xff, 0xd9])]);
}

export function webp(form: "VP8 " | "VP8L" | "VP8X" = "VP8X", width = 16, height = 16): Buffer {
  const bytes = Buffer.alloc(40);
  bytes.write("RIFF", 0).toString();
  bytes.writeUInt32LE(32, 4);
  bytes.write(`WEBP${form}`, 8);
  if (form === "VP8X") {
    bytes.writeUIntLE(width - 1, 24, 3);
    bytes.writeUIntLE(height - 1, 27, 3);
  } else if (form === "VP8L") {
    bytes[20] = 0x2f;
    bytes.writeUInt32LE((width - 1) | ((height - 1) << 14), 21);
  } else {
    bytes.writeUIntBE(0x9d012a, 23, 3);
    bytes.writeUInt16LE(width, 26);
    bytes.writeUInt16LE(height, 28);
  }
  return bytes;
}

export const dataUrl = (type: string, bytes: Buffer): string => `data:${type};base64,${bytes.toString("base64")}`;
