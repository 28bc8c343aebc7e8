/** A node that is killed whole, and what may be said of copies that came twice afterwards. */
import { performance } from "node:perf_hooks";
import type { Database } from "../../src/platform/database.ts";
import { markerOf } from "../support/arrivals.ts";
import { childrenOf } from "../support/children.ts";
import type { Relay } from "../support/relay.ts";
import type { Script } from "../support/upstream.ts";

/** All its processes at once, workers first, so that none of them ends by itself. */
export async function killAll(relay: Relay): Promise<void> {
  for (const pid of childrenOf(relay.child.pid)) {
    try {
      process.kill(pid, "SIGKILL");
    } catch {
      // it has ended by itself
    }
  }
  await relay.stop("SIGKILL");
}

/** One copy of a message at the upstream, when all of it was there. */
export type Copy = Readonly<{ marker: string; recipients: readonly string[]; atMs: number }>;

/** The script, and the copies that come by it. */
export function keepingTime(script: Script = {}): Readonly<{ script: Script; copies: readonly Copy[] }> {
  const copies: Copy[] = [];
  return {
    copies,
    script: {
      ...script,
      end(message, n) {
        const marker = markerOf(message.bytes);
        const recipients = message.rcpt.map((line) => /<([^>]*)>/.exec(line)?.[1] ?? line);
        if (marker !== undefined) copies.push({ marker, recipients, atMs: performance.timeOrigin + performance.now() });
        return script.end?.(message, n);
      },
    },
  };
}

/**
 * RFC 1047: a copy may come again only while nobody has recorded the one before. So an outcome that stands was written after
 * the last copy, and was written once.
 */
export async function copiesAgainstRecords({ pool }: Database, copies: readonly Copy[]): Promise<string[]> {
  const { rows } = await pool.query<{ marker: string; address: string; settled_ms: number; records: number }>(
    `select trim(both '<>' from m.header_message_id) as marker, r.address, extract(epoch from r.settled_at) * 1000 as settled_ms,
            jsonb_array_length(jsonb_path_query_array(r.attempts, '$[*] ? (@.outcome == "delivered")')) as records
       from message m join recipient r on r.message_id = m.id where r.state = 'delivered' and m.kind = 'submitted'`,
  );
  const last = new Map<string, number>();
  for (const { marker, recipients, atMs } of copies) {
    for (const to of recipients) last.set(`${marker} ${to}`, Math.max(last.get(`${marker} ${to}`) ?? 0, atMs));
  }
  return rows.flatMap(({ marker, address, settled_ms, records }) => {
    const faults: string[] = [];
    if (records !== 1) faults.push(`${marker} to ${address} is recorded as delivered ${records} times`);
    // Both clocks are this machine's; a millisecond is lost by rounding.
    if ((last.get(`${marker} ${address}`) ?? 0) > Number(settled_ms) + 1)
      faults.push(`${marker} to ${address} was recorded as delivered, and came again`);
    return faults;
  });
}

/** Recipients of submitted messages, by state. */
export async function fatesOf({ pool }: Database): Promise<Record<"delivered" | "queued" | "returned", number>> {
  const { rows } = await pool.query<Record<"delivered" | "queued" | "returned", number>>(
    `select count(*) filter (where state = 'delivered') as delivered, count(*) filter (where state = 'bounced') as returned,
            count(*) filter (where state in ('queued', 'deferred')) as queued
       from recipient r join message m on m.id = r.message_id where m.kind = 'submitted'`,
  );
  return rows[0] ?? { delivered: 0, queued: 0, returned: 0 };
}
