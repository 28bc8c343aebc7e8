/** What may happen to one Postgres under load: it is killed or stopped, a disk is full, its connections are used up. */
import pg from "pg";
import { openScene, type Scene } from "../journeys/scene.ts";
import { mutateFunction } from "../support/mutant.ts";
import { countLogged, makeServer, makeTablespace, moveWal, type Server } from "../support/postgres-server.ts";
import { createTenant, eventually } from "../support/relay.ts";
import type { Load } from "../support/sessions.ts";
import { mountSmallDisk, type SmallDisk } from "../support/small-disk.ts";
import { HANG, type Script } from "../support/upstream.ts";
import { judge } from "./postgres-failover.ts";

type Stage = Readonly<{ server: Server; scene: Scene; load: Load; tables?: SmallDisk; log?: SmallDisk }>;

/** Ends with a Postgres that works again. */
type Outage = (stage: Stage) => Promise<void>;

/** What no commit waits for stays in memory for long: a commit that did not wait is surely lost. */
const SETTINGS = ["shared_buffers=32MB", "wal_writer_delay=10s", "wal_writer_flush_after=1GB"];
const CROWDED = ["max_connections=48", "superuser_reserved_connections=0"];
const SMALL_LOG = ["max_wal_size=64MB", "min_wal_size=32MB"];

export const outages = {
  /** The postmaster alone: its children end when they see it. */
  async "the postmaster is killed"({ server }) {
    await server.end("SIGKILL");
    await server.start();
  },
  async "it is stopped at once"({ server }) {
    await server.end("SIGQUIT");
    await server.start();
  },
  /** All are in other hands, and those of the relay are ended, so that it has to ask for new ones. */
  async "its connections are used up"({ server, scene }) {
    const before = turnedAway(scene);
    const hogs = await takeAll(server);
    await eventually(async () => {
      await hogs[0]?.query(END_OTHERS);
      hogs.push(...(await takeAll(server)));
      return turnedAway(scene) > before;
    }, "the relay is turned away");
    await Promise.all(hogs.map((hog) => hog.end()));
  },
} satisfies Record<string, Outage>;

/** Those that need a disk of their own to fill. */
export const fullDisks = {
  /** Statements fail, and mail is refused for a while. */
  async "the disk of its tables is full"({ tables, server, load }) {
    const before = noSpace(server);
    tables?.fill();
    const refused = load.more(20, "refused");
    await eventually(async () => noSpace(server) > before, "Postgres finds no room");
    await refused;
    tables?.clear();
  },
  /** Segments that were made ahead are used up first; the next one can't be made, and the server can only panic. */
  async "the disk of its log is full"({ log, server }) {
    const before = countLogged(server, /PANIC/g);
    log?.fill();
    await eventually(async () => {
      await server.ask("select pg_switch_wal()").catch(() => {});
      return countLogged(server, /PANIC/g) > before;
    }, "Postgres panics");
    log?.clear();
    await server.start();
  },
} satisfies Record<string, Outage>;

const everyOutage: Readonly<Record<string, Outage>> = { ...outages, ...fullDisks };

export type OutageName = keyof typeof outages | keyof typeof fullDisks;
export type OutageOptions = Readonly<{ program?: string; script?: Script }>;

const END_OTHERS = `select pg_terminate_backend(pid) from pg_stat_activity
  where backend_type = 'client backend' and application_name <> 'hog'`;

const noSpace = (server: Server) => countLogged(server, /No space left on device/g);
const turnedAway = ({ relay }: Scene) =>
  relay.log.filter((line) => /too many clients|"53300"/.test(JSON.stringify(line))).length;

async function takeAll(server: Server): Promise<pg.Client[]> {
  const taken: pg.Client[] = [];
  for (;;) {
    const hog = new pg.Client({ connectionString: server.url(), application_name: "hog" });
    hog.on("error", () => {});
    try {
      await hog.connect();
      taken.push(hog);
    } catch {
      return taken;
    }
  }
}

/** One after the other under one load. Where no disk can be had for those that fill one: the reason. */
export async function playOutages(names: readonly OutageName[], told: OutageOptions = {}) {
  const tables = names.includes("the disk of its tables is full") ? mountSmallDisk(96) : undefined;
  const log = names.includes("the disk of its log is full") ? mountSmallDisk(192) : undefined;
  if (typeof tables === "string") return tables;
  if (typeof log === "string") return log;
  const crowded = names.includes("its connections are used up") ? CROWDED : [];
  const server = await makeStage([...SETTINGS, ...crowded, ...(log === undefined ? [] : SMALL_LOG)], tables, log);
  const scene = await openScene({ databaseUrl: server.url("postmeter"), ...told });
  const load = await loadOf(scene);
  for (const [i, name] of names.entries()) {
    await load.more(30, "accepted");
    await everyOutage[name]?.({
      server,
      scene,
      load,
      ...(tables === undefined ? {} : { tables }),
      ...(log === undefined ? {} : { log }),
    });
    if ((i + 1) % 5 === 0) console.log(`  ${i + 1} of ${names.length} outages`);
  }
  await load.more(30, "accepted");
  await load.stop();
  const seen = { outages: names.length, "errors of a full disk": noSpace(server), "turned away": turnedAway(scene) };
  return judge(scene, load, Object.fromEntries(Object.entries(seen).filter(([, count]) => count > 0)));
}

async function makeStage(settings: readonly string[], tables?: SmallDisk, log?: SmallDisk): Promise<Server> {
  const server = makeServer({ settings });
  if (log !== undefined) moveWal(server, log.folder);
  await server.start();
  if (tables === undefined) await server.ask("create database postmeter");
  else {
    await server.ask(`create tablespace small location '${makeTablespace(server, tables.folder)}'`);
    await server.ask("create database postmeter tablespace small");
  }
  return server;
}

async function loadOf(scene: Scene): Promise<Load> {
  const tenant = await createTenant(scene.relay, { limit: null });
  return scene.load(tenant, { sessions: 12, units: (n) => 1 + (n % 3), pauseMs: 10 });
}

/** For a control: the postmaster is killed where commits don't wait for the disk. */
export async function killWithoutWaiting() {
  const server = await makeStage(SETTINGS);
  const scene = await openScene({ databaseUrl: server.url("postmeter"), script: { mail: () => HANG } });
  const repair = await mutateFunction(scene.database, "accept_batch", {
    from: "begin\n  -- 1. heavy rows first",
    to: "begin\n  perform set_config('synchronous_commit', 'off', true);\n  -- 1. heavy rows first",
  });
  const load = await loadOf(scene);
  await load.more(100, "accepted");
  await load.stop();
  await scene.relay.stop("SIGKILL");
  await server.end("SIGKILL");
  await server.start();
  await repair();
  await scene.database.pool.query("update queue set owner = null, due_at = pm_now() + interval '1 day'");
  return judge(scene, load, { outages: 1 }, await scene.startAgain());
}
