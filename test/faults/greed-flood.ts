/** One account floods: a backlog that is due, and many sessions that add to it. How long does another's single message take? */
import { setTimeout as sleep } from "node:timers/promises";
import type { Scene } from "../journeys/scene.ts";
import { eventually, type Relay, type Tenant } from "../support/relay.ts";
import type { Script } from "../support/upstream.ts";
import { BESIDE, startBystander } from "./greed-clients.ts";

const MARKER = new RegExp(`^Message-ID: <(\\w+@${BESIDE})>`, "im");

/** Takes its time for each message, and notes when those of the bystander came. */
export function slowUpstream(eachMs: number): { script: Script; arrivals: ReadonlyMap<string, number> } {
  const arrivals = new Map<string, number>();
  const script: Script = {
    async end(message) {
      const marker = MARKER.exec(message.bytes.toString("latin1", 0, 2000))?.[1];
      if (marker !== undefined) arrivals.set(marker, performance.now());
      await sleep(eachMs);
      return undefined;
    },
  };
  return { script, arrivals };
}

/**
 * Copies of the one message that waits, due now. They are charged to nobody: the books of such a database are not to be
 * looked at.
 */
async function seedBacklog({ pool }: Scene["database"], messages: number): Promise<void> {
  const { rows } = await pool.query<{ id: string }>("select message_id as id from queue limit 1");
  const copy = (table: string, column: string, more = "") =>
    pool.query(
      `insert into ${table} select (jsonb_populate_record(t, jsonb_build_object('${column}',
         left(t.${column}::text, 24) || lpad(to_hex(copies.i), 12, '0'))${more})).*
       from ${table} t, generate_series(1, $2) copies(i) where t.${column} = $1`,
      [rows[0]?.id, messages],
    );
  await copy("message", "id");
  await copy("body", "message_id");
  await copy("recipient", "message_id");
  await copy("queue", "message_id", " || jsonb_build_object('owner', null, 'due_at', pm_now())");
  const waiting = await pool.query<{ n: number }>("select count(*)::int as n from queue");
  if (waiting.rows[0]?.n !== messages + 1) throw new Error(`${waiting.rows[0]?.n} messages wait, not ${messages + 1}`);
}

export type Flooded = Readonly<{
  shown: Record<string, number>;
  refused: readonly string[];
  late: number;
  worstMs: number;
}>;

/** `lateMs`: how long a message of the bystander may take from its 250 to the upstream. */
export async function flood(
  scene: Scene,
  arrivals: ReadonlyMap<string, number>,
  tenants: Readonly<{ relay: Relay; greedy: Tenant; bystander: Tenant }>,
  how: { backlog: number; sessions: number; seconds: number; lateMs: number },
): Promise<Flooded> {
  const { relay, greedy, bystander } = tenants;
  const hold = async (verb: "hold" | "release") => {
    const { status, text } = await relay.call("POST", `/v1/subaccounts/${greedy.subaccountId}/${verb}`);
    if (status !== 204 && status !== 200) throw new Error(`${verb}: ${status} ${text}`);
  };
  await hold("hold");
  const first = scene.load(greedy, { sessions: 1, messages: 1, bodyBytes: 4096 });
  await first.done;
  await seedBacklog(scene.database, how.backlog);
  await hold("release");
  const load = scene.load(greedy, { sessions: how.sessions, bodyBytes: 4096 });
  await load.more(how.sessions, "accepted");
  const other = startBystander(() => relay.ports.submission, bystander);
  await sleep(how.seconds * 1000);
  const left = await scene.database.pool.query<{ n: number }>("select count(*)::int as n from queue");
  const { served, refused, worstMs, sent } = await other.stop();
  const seen = await load.stop();
  const mine = sent.filter((one) => one.knowledge === "accepted");
  await eventually(
    async () => mine.every(({ marker }) => arrivals.has(marker)),
    "all of the bystander's arrive",
    120_000,
  );
  const waits = mine.map(({ marker, answeredAtMs }) => arrivals.get(marker)! - answeredAtMs);
  const worst = Math.max(0, ...waits);
  const late = waits.filter((ms) => ms > how.lateMs).length;
  const shown = {
    backlog: how.backlog,
    flooded: seen.filter((one) => one.knowledge === "accepted").length,
    "queued at the end": left.rows[0]?.n ?? 0,
    served,
    refused: refused.length,
    late,
    "worst ms to the 250": Math.round(worstMs),
    "worst ms from the 250 to the upstream": Math.round(worst),
  };
  return { shown, refused, late, worstMs: worst };
}
