/**
 * Puts a letter into the spool: system mail, unmetered, in the caller's transaction.
 *
 * Invariant: a letter is in the queue exactly when its cause has committed; who calls decides that it is written once. What
 * becomes of it is watched (outcomes.ts).
 * On failure: throws, and nothing of the transaction stays.
 */
import { CompiledQuery } from "kysely";
import { type Branded, brandOf } from "../branding/brand.ts";
import { needsUtf8 } from "../mail/address.ts";
import { composeLetter } from "../mail/compose.ts";
import type { Clock } from "../platform/clock.ts";
import type { Config } from "../platform/config.ts";
import type { Db } from "../platform/database.ts";
import { formatId, type MasterId, type MessageId, newId, PLATFORM } from "../platform/ids.ts";
import { enqueue } from "../spool/enqueue.ts";
import type { Reader } from "./language.ts";
import { type Letter, setLetter } from "./letter.ts";

export type LetterDeps = Readonly<{
  clock: Clock;
  config: Pick<Config, "publicUrl" | "systemFrom" | "hostname" | "queueLifetimeMs">;
}>;

export type Posting = Readonly<{
  /** Whose brand it carries. */
  of: Branded;
  /** Addresses; at least one. */
  to: readonly string[];
  reader: Reader;
  /** `origin`: the base of its links, without a slash at the end. */
  write(reader: Reader, origin: string): Letter;
}>;

/** @returns the id of the message that carries it */
export async function sendLetter(trx: Db, { of, to, reader, write }: Posting, deps: LetterDeps): Promise<MessageId> {
  const { config, clock } = deps;
  const brand = await brandOf(trx, of, config);
  const id = newId<MessageId>(clock);
  const bytes = await composeLetter({
    from: { name: brand.productName, address: brand.senderAddress },
    to,
    ...setLetter(write(reader, brand.origin), brand, reader.language),
    messageId: `${formatId("msg", id)}@${config.hostname}`,
    at: clock.now(),
  });
  const mail = {
    id,
    kind: "system",
    masterId: of.masterId ?? (PLATFORM as MasterId),
    subaccountId: PLATFORM,
    sender: config.systemFrom,
    recipients: [...to],
    bytes,
    smtpUtf8: to.some(needsUtf8),
  } as const;
  await enqueue(clientOf(trx), mail, config.queueLifetimeMs);
  const states = to.map(() => "queued");
  const row = { message_id: id, master_id: mail.masterId, recipients: [...to], states, sent_at: clock.now() };
  await trx.insertInto("letter").values(row).execute();
  return id;
}

/** The transaction, as the spool's own statements want it. */
function clientOf(trx: Db): Parameters<typeof enqueue>[0] {
  const query = (text: string, values: unknown[]) => trx.executeQuery(CompiledQuery.raw(text, values));
  return { query } as unknown as Parameters<typeof enqueue>[0];
}
