/**
 * The route that leads nowhere: mail is kept in the built-in mailbox (table `captured`) instead of leaving the machine.
 *
 * Invariant: a message counts as delivered once its row is committed. On failure: deferred, like any peer that can't be reached.
 */
import type { Pool } from "pg";
import { readHead } from "../mail/head.ts";
import type { Clock } from "../platform/clock.ts";
import { type CapturedId, formatId, newId } from "../platform/ids.ts";
import type { Task } from "../spool/message.ts";
import type { Connection, Job } from "./conversation.ts";
import type { Peer } from "./envelope.ts";

export type Capture = (task: Task, recipients: readonly string[], bytes: Buffer) => Promise<CapturedId>;

const INSERT = {
  name: "capture",
  text: `insert into captured (id, message_id, master_id, subaccount_id, sender, recipients, size_bytes, subject, header_from, bytes, captured_at)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, pm_now())`,
};

export function createCapture(pool: Pool, clock: Clock): Capture {
  return async (task, recipients, bytes) => {
    const id = newId<CapturedId>(clock);
    const end = bytes.indexOf("\r\n\r\n");
    const head = readHead(end === -1 ? bytes : bytes.subarray(0, end + 2));
    const [subject, from] = head.kind === "head" ? [head.subject, head.from.join(", ") || null] : [null, null];
    await pool.query({
      ...INSERT,
      values: [
        id,
        task.id,
        task.masterId,
        task.subaccountId,
        task.sender,
        [...recipients],
        bytes.length,
        subject,
        from,
        bytes,
      ],
    });
    return id;
  };
}

export const mailboxPeer: Peer = {
  host: "mailbox",
  pipelining: false,
  dsn: false,
  eightBit: true,
  utf8: true,
  size: true,
  maxBytes: 0,
};

export function openMailbox(capture: Capture): Connection {
  return openShelf(async ({ task, recipients, exchange, read }) => {
    const addresses = recipients.map(({ address }) => address);
    const parts: Uint8Array[] = [];
    for await (const part of task.bytes ?? read()) parts.push(part);
    const id = await capture(task, addresses, Buffer.concat(parts));
    exchange.mail = "250 2.1.0 Ok";
    exchange.rcpt = recipients.map(() => "250 2.1.5 Ok");
    exchange.end = `250 2.0.0 Captured as ${formatId("cap", id)}`;
  });
}

/** Takes one message at a time, like a connection to a server. `answer` writes what that would have said. */
export function openShelf(answer: (job: Job) => Promise<void>): Connection {
  let busy = false;
  const connection: Connection = {
    peer: mailboxPeer,
    used: 0,
    isFree: () => !busy,
    start(job) {
      busy = true;
      void answer(job)
        .catch(() => {
          job.exchange.failure = { why: "source", text: "The mailbox could not take the message", reply: null };
        })
        .finally(() => {
          busy = false;
          job.finished(connection);
        });
    },
    quit() {},
    destroy() {},
  };
  return connection;
}
