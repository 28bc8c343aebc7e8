/**
 * A session of the generator, as an ordinary library behaves (nodemailer, smtplib): each command waits for the answer to
 * the one before, one message is in flight. With `pipelining` MAIL, RCPT and DATA go together, as mail servers do.
 */
import { type Connection, expect, openConnection, type Server } from "./connection.ts";
import { createTemplate } from "./message.ts";
import { nowMs } from "./moment.ts";

export type Traffic = Server &
  Readonly<{
    pipelining: boolean;
    sizeBytes: number;
    keep: boolean; // false: one message per connection
    run: number;
  }>;

export type Ledger = Readonly<{
  /** Says that this session stands and waits until all do. */
  ready(): Promise<void>;
  /** The sequence number of the next message; undefined when time is up. */
  take(): number | undefined;
  /** Both in ms as the client sees them: final dot to 250, MAIL to 250. */
  accepted(sequence: number, dotMs: number, mailMs: number): void;
  /** Refused, or lost before the final dot: surely not accepted. */
  refused(sequence: number, why: string): void;
  /** Sent, and no answer. */
  unknown(sequence: number, why: string): void;
}>;

/** Sends until `take` has nothing more. Never rejects: what went wrong stands in the ledger. */
export async function runSession(traffic: Traffic, ledger: Ledger): Promise<void> {
  const template = createTemplate(traffic.run, traffic.sizeBytes);
  let connection = traffic.keep ? await openConnection(traffic).catch(() => undefined) : undefined;
  await ledger.ready();
  for (let sequence = ledger.take(); sequence !== undefined; sequence = ledger.take()) {
    try {
      connection ??= await openConnection(traffic);
    } catch (error) {
      ledger.refused(sequence, String(error));
      await new Promise((resolve) => setTimeout(resolve, 50));
      continue;
    }
    template.stamp(sequence);
    const usable = await send(connection, traffic, ledger, sequence, template.pieces);
    if (usable && traffic.keep) continue;
    await close(connection, usable);
    connection = undefined;
  }
  if (connection !== undefined) await close(connection, true);
}

/** False when the session can't be used any more. */
async function send(
  c: Connection,
  traffic: Traffic,
  ledger: Ledger,
  sequence: number,
  pieces: readonly Buffer[],
): Promise<boolean> {
  const mailAt = nowMs();
  let dotAt = 0;
  try {
    await transact(c, traffic.pipelining);
    dotAt = nowMs();
    for (const piece of pieces) c.write(piece);
    const answer = await c.reply();
    const answeredAt = nowMs();
    if (answer.startsWith("250")) ledger.accepted(sequence, answeredAt - dotAt, answeredAt - mailAt);
    else ledger.refused(sequence, answer);
    return true;
  } catch (error) {
    if (dotAt === 0) ledger.refused(sequence, String(error));
    else ledger.unknown(sequence, String(error));
    return false;
  }
}

/** From MAIL to the 354. */
async function transact(c: Connection, pipelining: boolean): Promise<void> {
  if (pipelining) {
    c.write("MAIL FROM:<app@bench.example>\r\nRCPT TO:<reader@dest.example>\r\nDATA\r\n");
    await expect(c, "250");
    await expect(c, "250");
  } else {
    c.write("MAIL FROM:<app@bench.example>\r\n");
    await expect(c, "250");
    c.write("RCPT TO:<reader@dest.example>\r\n");
    await expect(c, "250");
    c.write("DATA\r\n");
  }
  await expect(c, "354");
}

async function close(c: Connection, politely: boolean): Promise<void> {
  try {
    if (politely) {
      c.write("QUIT\r\n");
      await c.reply();
    }
  } catch {
    // The answer to QUIT is a courtesy; the message has its own.
  } finally {
    c.end();
  }
}
