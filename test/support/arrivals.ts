/** What came out at the other end: of a played upstream, or of the built-in mailbox. */
import type { Database } from "../../src/platform/database.ts";
import type { Arrival } from "./conservation.ts";
import { describeDue } from "./ledger-rows.ts";
import { eventually } from "./relay.ts";
import { MARKED } from "./sessions.ts";
import type { Received, Upstream } from "./upstream.ts";

const MARKER = new RegExp(`^Message-ID: <(\\w+@${MARKED})>`, "im");

/** Undefined: a report, or mail of the platform's own. */
export function markerOf(bytes: Buffer): string | undefined {
  const end = bytes.indexOf("\r\n\r\n");
  return MARKER.exec(bytes.toString("latin1", 0, end === -1 ? undefined : end))?.[1];
}

function arrivalsOf(bytes: Buffer, recipients: readonly string[]): Arrival[] {
  const marker = markerOf(bytes);
  return marker === undefined ? [] : recipients.map((recipient) => ({ marker, recipient }));
}

export function receivedBy({ received }: Pick<Upstream, "received">): Arrival[] {
  return received.flatMap((message: Received) =>
    arrivalsOf(
      message.bytes,
      message.rcpt.map((line) => /<([^>]*)>/.exec(line)?.[1] ?? line),
    ),
  );
}

export async function captured({ pool }: Database): Promise<Arrival[]> {
  const { rows } = await pool.query<{ bytes: Buffer; recipients: string[] }>("select bytes, recipients from captured");
  return rows.flatMap(({ bytes, recipients }) => arrivalsOf(bytes, recipients));
}

/** Waits until nothing is due and nothing is under way. */
export async function quiet(database: Database, deadlineMs = 90_000): Promise<void> {
  let left: readonly string[] = [];
  const done = async () => {
    left = await describeDue(database).catch(() => ["the database can't be asked"]);
    return left.length === 0;
  };
  await eventually(done, "the queue is empty", deadlineMs).catch((error: Error) => {
    throw new Error(`${error.message}; it holds ${left.join("; ")}`);
  });
}
