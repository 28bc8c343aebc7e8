/**
 * The built-in mailbox, as its owners see it: newest first, and one mail with its readable text.
 *
 * Invariant: letters of ours hold links that log somebody in; who may only read is shown none of them, or he could do all.
 */
import { sql } from "kysely";
import { type Attachment, simpleParser } from "mailparser";
import { type Principal, reachOf, scopesOf } from "../accounts/principal.ts";
import type { Db } from "../platform/database.ts";
import { notFound } from "../platform/errors.ts";
import { type CapturedId, type MasterId, type MessageId, PLATFORM, type SubaccountId } from "../platform/ids.ts";

export type CapturedMail = Readonly<{
  id: CapturedId;
  messageId: MessageId;
  masterId: MasterId;
  subaccountId: SubaccountId;
  /** The envelope's; "" for <>. */
  from: string;
  recipients: readonly string[];
  sizeBytes: number;
  subject: string | null;
  headerFrom: string | null;
  capturedAt: Date;
}>;

export type CapturedText = Readonly<{
  /** The text part, or what the HTML part says as text. Null: neither, or the mail is too large or too odd to be parsed. */
  text: string | null;
  attachments: readonly Readonly<{ fileName: string | null; contentType: string; sizeBytes: number }>[];
}>;

export type CapturedFilter = Readonly<{
  subaccountId?: SubaccountId | undefined;
  recipient?: string | undefined;
  before?: CapturedId | undefined; // the last id of the page before
  limit: number;
}>;

const MAX_PARSED_BYTES = 2 * 1024 * 1024;
const MAX_TEXT = 200_000;

/** At most `limit + 1` rows: one more than asked tells that there is more. */
export async function listCaptured(db: Db, principal: Principal, filter: CapturedFilter): Promise<CapturedMail[]> {
  let query = select(db, principal).select(columns);
  if (filter.subaccountId !== undefined) query = query.where("subaccount_id", "=", filter.subaccountId);
  if (filter.recipient !== undefined)
    query = query.where(sql<boolean>`recipients @> array[${filter.recipient}]::text[]`);
  if (filter.before !== undefined) query = query.where("id", "<", filter.before);
  const rows = await query
    .orderBy("id", "desc")
    .limit(filter.limit + 1)
    .execute();
  return rows.map(mailOf);
}

/** @throws Fault not-found, also for another tenant's mail. */
export async function readCaptured(db: Db, principal: Principal, id: CapturedId): Promise<CapturedMail & CapturedText> {
  const row = await select(db, principal).select(columns).select("bytes").where("id", "=", id).executeTakeFirst();
  if (row === undefined) throw notFound("captured mail");
  return { ...mailOf(row), ...(await readText(row.bytes)) };
}

/** The message as it would have been sent. @throws Fault not-found */
export async function readCapturedBytes(db: Db, principal: Principal, id: CapturedId): Promise<Uint8Array> {
  const row = await select(db, principal).select("bytes").where("id", "=", id).executeTakeFirst();
  if (row === undefined) throw notFound("captured mail");
  return row.bytes;
}

/** Removes what was captured longer ago. Returns how many. */
export async function purgeCaptured(db: Db, retentionMs: number): Promise<number> {
  const gone = await db
    .deleteFrom("captured")
    .where("captured_at", "<", sql<Date>`pm_now() - make_interval(secs => ${retentionMs / 1000}::float8)`)
    .executeTakeFirst();
  return Number(gone.numDeletedRows);
}

const columns = [
  "id",
  "message_id",
  "master_id",
  "subaccount_id",
  "sender",
  "recipients",
  "size_bytes",
  "subject",
  "header_from",
  "captured_at",
] as const;

function select(db: Db, principal: Principal) {
  const { masterId, subaccountId } = reachOf(principal);
  let query = db.selectFrom("captured");
  if (masterId !== null) query = query.where("master_id", "=", masterId);
  if (subaccountId !== null) query = query.where("subaccount_id", "=", subaccountId);
  if (!scopesOf(principal).includes("full")) query = query.where("subaccount_id", "<>", PLATFORM);
  return query;
}

async function readText(bytes: Buffer): Promise<CapturedText> {
  if (bytes.length > MAX_PARSED_BYTES) return { text: null, attachments: [] };
  const parsed = await simpleParser(bytes, { skipImageLinks: true, skipTextToHtml: true }).catch(() => undefined);
  return { text: parsed?.text?.slice(0, MAX_TEXT) ?? null, attachments: parsed?.attachments.map(attachmentOf) ?? [] };
}

function attachmentOf({ filename, contentType, size }: Attachment): CapturedText["attachments"][number] {
  return { fileName: filename ?? null, contentType, sizeBytes: size };
}

type Row = Awaited<ReturnType<typeof typed>>[number];
const typed = (db: Db) => db.selectFrom("captured").select(columns).execute();

function mailOf(row: Row): CapturedMail {
  return {
    id: row.id,
    messageId: row.message_id,
    masterId: row.master_id,
    subaccountId: row.subaccount_id,
    from: row.sender,
    recipients: row.recipients,
    sizeBytes: row.size_bytes,
    subject: row.subject,
    headerFrom: row.header_from,
    capturedAt: row.captured_at,
  };
}
