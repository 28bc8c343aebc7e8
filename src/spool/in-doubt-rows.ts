/** The rows of what is in doubt: how a message's row is made from what is stored, and how its retry takes it out. */
import type { Pool } from "pg";
import type { MessageId } from "../platform/ids.ts";
import { readBody } from "./body.ts";
import { hashOf } from "./content-hash.ts";
import type { Doubtful, Recipient, Submission } from "./message.ts";

/** Rows are looked for by subaccount and size, and only where there is one is a message hashed. */
export type Place = Pick<Doubtful, "subaccountId" | "sizeBytes">;

/** The places where there are rows. */
export async function listRows(pool: Pool): Promise<readonly Place[]> {
  const { rows } = await pool.query<Place>(
    `select distinct subaccount_id as "subaccountId", size_bytes as "sizeBytes" from in_doubt where until > pm_now()`,
  );
  return rows;
}

const FIND = {
  name: "in_doubt_find",
  text: `select sender = $3 as same, content_hash from in_doubt where subaccount_id = $1 and size_bytes = $2 and until > pm_now()`,
};

export async function candidatesFor(pool: Pool, { subaccountId, sizeBytes }: Place, sender: string) {
  const values = [subaccountId, sizeBytes, sender];
  const { rows } = await pool.query<{ same: boolean; content_hash: Buffer }>({ ...FIND, values });
  return { any: rows.length, hashes: rows.filter((row) => row.same).map((row) => row.content_hash) };
}

/** Of retries that race for one row one gets it. */
const TAKE = {
  name: "in_doubt_take",
  text: `delete from in_doubt d using (
           select message_id from in_doubt
            where subaccount_id = $1 and size_bytes = $2 and sender = $3 and content_hash = $4 and until > pm_now()
            order by message_id limit 1 for update skip locked) first
          where d.subaccount_id = $1 and d.size_bytes = $2 and d.message_id = first.message_id
         returning d.message_id, d.added_bytes`,
};

export async function take(pool: Pool, place: Place, sender: string, hash: Buffer): Promise<Doubtful | undefined> {
  const { subaccountId, sizeBytes } = place;
  const values = [subaccountId, sizeBytes, sender, hash];
  const { rows } = await pool.query<{ message_id: MessageId; added_bytes: number }>({ ...TAKE, values });
  const row = rows[0];
  return row && { ...place, id: row.message_id, addedBytes: row.added_bytes };
}

/** The message as it was received: part 0 from memory, what was written ahead from there. */
export async function* received(pool: Pool, { id, partZero, bodyParts }: Submission): AsyncGenerator<Uint8Array> {
  yield* partZero;
  if (bodyParts > 1) yield* readBody(pool, id, bodyParts, 1);
}

type Stored = Readonly<{
  sender: string;
  body_parts: number;
  envelope_id: string | null;
  ret: "FULL" | "HDRS" | null;
  recipients: readonly Recipient[];
  until: Date;
}>;

/** A day from its acceptance, whoever asks: a client that never waits for its 250 must not keep a row alive for ever. */
const STORED = `select m.sender, m.body_parts, m.envelope_id, m.ret, m.accepted_at + interval '24 hours' as until,
    (select json_agg(json_build_object('address', address, 'originalRecipient', original_recipient, 'notify', notify))
       from recipient r where r.message_id = m.id) as recipients
  from message m where m.id = $1 and m.accepted_at > pm_now() - interval '24 hours'`;

const WRITE = `insert into in_doubt (subaccount_id, size_bytes, sender, content_hash, message_id, added_bytes, until)
  values ($1, $2, $3, $4, $5, $6, $7) on conflict do nothing`;

/** False when the message is not stored, or too old. From what is stored: nothing of it is kept in memory for the rare case. */
export async function writeRow(pool: Pool, { id, subaccountId, sizeBytes, addedBytes }: Doubtful): Promise<boolean> {
  const { rows } = await pool.query<Stored>(STORED, [id]);
  const row = rows[0];
  if (row === undefined) return false;
  const envelope = { sender: row.sender, recipients: row.recipients, envelopeId: row.envelope_id, ret: row.ret };
  const hash = await hashOf(envelope, readBody(pool, id, row.body_parts), addedBytes);
  await pool.query(WRITE, [subaccountId, sizeBytes, row.sender, hash, id, addedBytes, row.until]);
  return true;
}
