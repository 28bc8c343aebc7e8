/** One stage for a journey: a database, a Redis, a played upstream, and the program between them. */
import { afterAll, vi } from "vitest";
import { openDatabase } from "../../src/platform/database.ts";
import { quiet, receivedBy } from "../support/arrivals.ts";
import { childrenOf, lives } from "../support/children.ts";
import { type Audit, audit } from "../support/conservation.ts";
import { createDatabase } from "../support/database.ts";
import { type TestRedis, testRedis } from "../support/redis.ts";
import { type Relay, type RelayOptions, startRelay, type Tenant } from "../support/relay.ts";
import { type Load, type LoadOptions, startLoad } from "../support/sessions.ts";
import { type Script, startUpstream, type Upstream } from "../support/upstream.ts";

/** Many programs on a machine that may be busy: time ends only what would fail anyway. */
vi.setConfig({ testTimeout: 180_000, hookTimeout: 120_000 });

const ends: (() => Promise<void>)[] = [];
afterAll(async () => {
  await Promise.all(ends.map((end) => end()));
});

export type SceneOptions = Readonly<{
  withRedis?: boolean; // true unless told
  script?: Script;
  env?: Record<string, string>;
  clockOffsetMs?: number;
  databaseUrl?: string;
  /** The relay's own way to it. */
  relayUrl?: string;
  /** The same, to the Redis whose address is given. */
  relayRedisUrl?: (url: string) => Promise<string>;
  program?: string;
}>;

export type Scene = Awaited<ReturnType<typeof openScene>>;

/** What it starts ends with the file. */
export async function openScene(told: SceneOptions = {}) {
  const { withRedis = true, script, env = {}, clockOffsetMs = 0, program } = told;
  const databaseUrl = told.databaseUrl ?? (await createDatabase());
  const redis: TestRedis | undefined = withRedis ? await testRedis() : undefined;
  const upstream: Upstream = await startUpstream(script);
  const database = openDatabase({ url: databaseUrl, max: 2, clockOffsetMs, applicationName: "postmeter journey" });
  const options: RelayOptions = {
    databaseUrl: told.relayUrl ?? databaseUrl,
    ...(redis === undefined ? {} : { redisUrl: (await told.relayRedisUrl?.(redis.url)) ?? redis.url }),
    ...(program === undefined ? {} : { program }),
    env: {
      POSTMETER_UPSTREAM_URL: `smtp://127.0.0.1:${upstream.port}`,
      POSTMETER_CLOCK_OFFSET: `${Math.round(clockOffsetMs / 1000)}s`,
      ...env,
    },
  };
  const relay = await startRelay(options);
  const relays = [relay];
  /** Another node, or the same one again. */
  const startAgain = async (more: Partial<RelayOptions> = {}): Promise<Relay> => {
    const started = await startRelay({
      ...options,
      home: relay.home,
      ...more,
      env: { ...options.env, ...more.env },
    });
    relays.push(started);
    return started;
  };
  /** Before the file does, where many scenes follow one another. */
  const end = async () => {
    await Promise.all(relays.map((one) => one.stop("SIGKILL")));
    await upstream[Symbol.asyncDispose]();
    await redis?.[Symbol.asyncDispose]();
    await database[Symbol.asyncDispose]();
  };
  ends.push(end);
  const masters = new Map<string, Tenant>();
  const checked = new Set<string>();
  const loads: Load[] = [];
  /** A load whose book is kept. */
  const load = (master: Tenant, told: Omit<LoadOptions, "ports" | "senders"> & Partial<LoadOptions>): Load => {
    masters.set(master.masterId, master);
    const started = startLoad({ ports: () => [relay.ports.submission], senders: [master], ...told });
    loads.push(started);
    return started;
  };
  /** The minute after which the leases of dead nodes run out, in no time. `all`: those of the living, too. */
  const letLeasesLapse = async (whose: "dead" | "all" = "dead") => {
    const pids = relays
      .flatMap(({ child }) => [child.pid, ...childrenOf(child.pid)])
      .filter((pid) => pid && lives(pid));
    const dead = "owner is not null and ($1 = 'all' or owner not in (select id from node where pid = any($2::int[])))";
    await database.pool.query(`update queue set due_at = pm_now() where ${dead}`, [whose, pids]);
  };
  /** Of all that has happened on this stage so far; API and Redis of the masters that are new. */
  const check = async (
    how: { redis?: "exact"; through?: Relay; again?: true; patienceMs?: number } = {},
  ): Promise<Audit> => {
    await quiet(database, how.patienceMs);
    const asked = [...masters.keys()].filter((id) => how.again || !checked.has(id));
    for (const id of asked) checked.add(id);
    return audit({
      asked,
      database,
      relay: how.through ?? relay,
      masters: [...masters.values()],
      seen: loads.flatMap((one) => one.seen),
      arrived: receivedBy(upstream),
      ...(redis === undefined ? {} : { redis: { client: redis.redis, exact: how.redis === "exact" } }),
    });
  };
  return { databaseUrl, database, redis, upstream, relay, startAgain, load, letLeasesLapse, check, end };
}
