/** Postgres with one streaming replica, which takes over in the middle of a load. */
import { randomBytes } from "node:crypto";
import { openScene, type Scene } from "../journeys/scene.ts";
import { makeServer, type Server, startReplica } from "../support/postgres-server.ts";
import { createTenant, eventually, type Tenant } from "../support/relay.ts";
import type { Load } from "../support/sessions.ts";
import { type Switch, startSwitch } from "../support/switch.ts";

const SETTINGS = ["wal_keep_size=512MB", "max_connections=100", "shared_buffers=32MB"];

export type Pair = {
  primary: Server;
  replica: Server;
  readonly way: Switch;
  readonly scene: Scene;
  readonly tenant: Tenant;
  readonly synchronous: boolean;
};

export async function openPair({
  synchronous = true,
  program,
}: {
  synchronous?: boolean;
  program?: string;
} = {}): Promise<Pair> {
  const primary = makeServer({ settings: SETTINGS });
  await primary.start();
  const database = `failover_${randomBytes(4).toString("hex")}`;
  await primary.ask(`create database ${database}`);
  const replica = await joinReplica(primary, synchronous);
  const way = await startSwitch(primary);
  const scene = await openScene({ databaseUrl: way.url(database), ...(program === undefined ? {} : { program }) });
  const tenant = await createTenant(scene.relay, { limit: null });
  return { primary, replica, way, scene, tenant, synchronous };
}

let replicas = 0;

async function joinReplica(primary: Server, synchronous: boolean): Promise<Server> {
  const name = `standby_${++replicas}`;
  const replica = await startReplica(primary, name, SETTINGS);
  if (synchronous) {
    await primary.ask(`alter system set synchronous_standby_names = '${name}'`);
    await primary.ask("select pg_reload_conf()");
    const isSync = async () =>
      (await primary.ask("select from pg_stat_replication where sync_state = 'sync'")).length === 1;
    await eventually(isSync, "the replica is synchronous");
  }
  return replica;
}

/** Nothing more reaches the replica: from then on a commit waits, if it is synchronous. */
export async function part({ primary, replica }: Pair): Promise<void> {
  await replica.ask("alter system set primary_conninfo = ''");
  await replica.ask("select pg_reload_conf()");
  await eventually(async () => (await primary.ask("select from pg_stat_replication")).length === 0, "it is apart");
}

/** A commit waits for the replica. `of`: a word of its statement. */
export async function commitWaits({ primary }: Pair, of: string): Promise<void> {
  const waits = `select from pg_stat_activity where wait_event = 'SyncRep' and query like '%${of}%'`;
  await eventually(async () => (await primary.ask(waits)).length > 0, "a commit waits for the replica");
}

/** The primary dies and never comes back; the replica takes its place. */
export async function failOver(pair: Pair, signal: NodeJS.Signals = "SIGKILL"): Promise<void> {
  await pair.primary.end(signal);
  await pair.replica.ask("select pg_promote(true, 60)");
  pair.way.turnTo(pair.replica);
  pair.primary = pair.replica;
}

/** A load over one failover after the other, each time with a replica of the server that has taken over. */
export async function failOverUnderLoad(times: number) {
  const pair = await openPair();
  const { scene, tenant } = pair;
  const load: Load = scene.load(tenant, { sessions: 12, units: (n) => 1 + (n % 3), pauseMs: 10 });
  for (let n = 1; n <= times; n++) {
    await load.more(60, "accepted");
    await failOver(pair, n % 2 === 0 ? "SIGQUIT" : "SIGKILL");
    if (n < times) pair.replica = await joinReplica(pair.primary, true);
    console.log(`  ${n} of ${times} failovers`);
  }
  await load.more(60, "accepted");
  await load.stop();
  return judge(scene, load, { failovers: times });
}

/**
 * The replica is cut off while commits wait for it, the primary crashes and comes back, so that it shows what the replica never
 * got; then the primary dies for good. What the relay says of those commits must be true on the replica.
 */
export async function crashThenFailOver(program?: string) {
  const pair = await openPair(program === undefined ? {} : { program });
  const { scene, tenant, primary } = pair;
  const first = scene.load(tenant, { sessions: 4 });
  await first.more(20, "accepted");
  await first.stop();
  await part(pair);
  const load = scene.load(tenant, { sessions: 1, messages: 1 });
  await commitWaits(pair, "accept_batch");
  await primary.end("SIGQUIT");
  await primary.start();
  // The relay asks what came of them: it believes what it reads, or waits for the replica.
  await Promise.race([load.more(1, "accepted"), commitWaits(pair, "postmeter.fence")]);
  await failOver(pair);
  await load.done;
  return judge(scene, load, { failovers: 1 });
}

/** The books after it, and the figures for the table. */
export async function judge(scene: Scene, load: Load, done: Readonly<Record<string, number>>, through = scene.relay) {
  await scene.letLeasesLapse("all");
  const { faults, ...sums } = await scene.check({ through, patienceMs: 120_000 });
  const figures = { ...done, ...figuresOf(load), "of these stored": sums.inDoubt, duplicates: sums.duplicates };
  return { faults, figures };
}

function figuresOf({ seen }: Load) {
  const sent = seen.filter((s) => s.knowledge !== "unsent");
  const known = (what: string) => sent.filter((s) => s.knowledge === what).length;
  return {
    messages: sent.length,
    acknowledged: known("accepted"),
    refused: known("refused"),
    unanswered: known("unknown"),
  };
}

/** The replica gets nothing more, the load goes on as far as it can, the primary dies. */
export async function failOverBehind(synchronous: boolean) {
  const pair = await openPair({ synchronous });
  const { scene, tenant } = pair;
  const load = scene.load(tenant, { sessions: 8 });
  await load.more(40, "accepted");
  await part(pair);
  await (synchronous ? commitWaits(pair, "accept_batch") : load.more(40, "accepted"));
  await failOver(pair);
  await load.more(20, "accepted");
  await load.stop();
  return judge(scene, load, { failovers: 1 });
}
