/** A relay whose Redis fails under load, with one tenant that comes to its limit meanwhile and one that has none. */
import { createCounters } from "../../src/quota/counters.ts";
import { openScene, type Scene } from "../journeys/scene.ts";
import { compareRedis } from "../support/conservation.ts";
import { readCounters } from "../support/ledger-rows.ts";
import { type RedisLink, startRedisLink } from "../support/redis-link.ts";
import { createTenant, eventually } from "../support/relay.ts";
import { acceptedUnits, type Load, type Sent } from "../support/sessions.ts";
import { type OutageName, outages, type Stage } from "./redis-outage.ts";

export type Outages = Readonly<{
  names: readonly OutageName[];
  program?: string;
  /** The relay's own round of reconciling: waited for, or asked for at once. */
  round: "waited for" | "asked for";
  prepare?: (scene: Scene) => Promise<unknown>;
}>;

const LIMIT = 400;
/** Of which a part is used before anything happens. */
const BEFORE = 20;

/** What was done and seen, and what is wrong: none, if the promises hold. */
export async function playOutages({ names, program, round, prepare }: Outages) {
  const stage = await openStage(program);
  const { scene, free, masters } = stage;
  await prepare?.(scene);
  const faults: string[] = [];
  for (const [i, name] of names.entries()) {
    faults.push(...(await playOne(stage, name)));
    if ((i + 1) % 5 === 0) console.log(`  ${i + 1} of ${names.length} faults`);
  }
  await free.more(20, "accepted");
  await free.stop();
  faults.push(...refusals(free.seen, () => false));
  const before = await apart(scene, masters);
  const reconciledMs = await reconciled(scene, round);
  const after = await apart(scene, masters);
  const audit = await scene.check();
  return {
    faults: [
      ...faults,
      ...after.texts.map((text) => `${text} after a round of reconciling`),
      ...audit.faults,
      ...(audit.inDoubt + audit.duplicates === 0 ? [] : [`${audit.inDoubt} unanswered, ${audit.duplicates} copies`]),
    ],
    figures: {
      faults: names.length,
      acknowledged: stage.loads.flatMap(({ seen }) => seen).filter(({ knowledge }) => knowledge === "accepted").length,
      "of these while it lasted": stage.meanwhile(),
      "breaker opened": stage.logged("quota.breaker_opened"),
      "and closed": stage.logged("quota.breaker_closed"),
      "counters in Redis": after.compared,
      "of these apart before reconciling": before.texts.length,
      "and after": after.texts.length,
      "gone after s": Math.round(reconciledMs / 1000),
    },
  };
}

type Whole = Awaited<ReturnType<typeof openStage>>;

async function openStage(program: string | undefined) {
  let link: RedisLink | undefined;
  const scene = await openScene({
    relayRedisUrl: async (url) => {
      link = await startRedisLink(url);
      return link.url;
    },
    ...(program && { program }),
  });
  const tenant = await createTenant(scene.relay, { limit: null });
  const masters = [tenant.masterId];
  const free = scene.load(tenant, { sessions: 6, units: (n) => 1 + (n % 3), pauseMs: 10 });
  const loads: Load[] = [free];
  const logged = (event: string) => scene.relay.log.filter((line) => line.event === event).length;
  const closed = () =>
    eventually(
      async () => logged("quota.breaker_opened") === logged("quota.breaker_closed"),
      "the breaker has closed by itself",
    );
  let meanwhile = 0;
  return {
    scene,
    link: link as RedisLink,
    free,
    loads,
    masters,
    logged,
    closed: async () => void (await closed()),
    meanwhile: () => meanwhile,
    lasted(messages: number): void {
      meanwhile += messages;
    },
  };
}

/** With a tenant of its own that comes to its limit. */
async function playOne(whole: Whole, name: OutageName): Promise<string[]> {
  const { scene, free, loads, masters, link, logged, closed } = whole;
  const tenant = await createTenant(scene.relay, { limit: LIMIT });
  masters.push(tenant.masterId);
  let limited: Load | undefined;
  await free.more(BEFORE, "accepted");
  const accepted = () => loads.flatMap(({ seen }) => seen).filter(({ knowledge }) => knowledge === "accepted").length;
  const [acceptedBefore, openedBefore] = [accepted(), logged("quota.breaker_opened")];
  const stage: Stage = {
    redis: scene.redis!,
    link,
    async begin() {
      limited = scene.load(tenant, { sessions: 6, units: (n) => 1 + (n % 3), pauseMs: 10 });
      loads.push(limited);
      await limited.more(BEFORE, "accepted");
    },
    accepted: (messages) => free.more(messages, "accepted"),
    toTheLimit: async () => void (await Promise.all([limited?.more(30, "refused"), free.more(60, "accepted")])),
    opened: () => logged("quota.breaker_opened"),
    closed,
  };
  await outages[name].play(stage);
  whole.lasted(accepted() - acceptedBefore);
  await closed();
  await Promise.all([limited?.more(30, "refused"), free.more(30, "accepted")]);
  const seen = (await limited?.stop()) ?? [];
  const faults = refusals(seen, (reply) => /^550 5\.4\.5 .*\[QUOTA-SUBACCOUNT\]$/.test(reply));
  if (acceptedUnits(seen) !== LIMIT) faults.push(`${acceptedUnits(seen)} units were accepted of ${LIMIT}`);
  if (outages[name].opens && logged("quota.breaker_opened") === openedBefore) faults.push("the breaker stayed closed");
  return faults;
}

/** Messages without a 250, other than those. */
function refusals(seen: readonly Sent[], rightly: (reply: string) => boolean): string[] {
  return seen
    .filter(({ knowledge, reply }) => knowledge !== "accepted" && !(knowledge === "refused" && rightly(reply)))
    .map(({ marker, knowledge, reply }) => `${marker} was ${knowledge}: ${reply}`);
}

/** Counters in Redis that are not what their rows say. Those that are cold say nothing. */
async function apart({ redis, database }: Scene, masters: readonly string[]) {
  const counters = await readCounters(database, masters);
  const { apart: texts, cold } = await compareRedis(createCounters(redis!.redis, database.clockOffsetMs), counters);
  return { compared: counters.length - cold.length, texts };
}

/** Until the relay's job has run that was due after this moment: how long that took. */
async function reconciled({ database: { pool } }: Scene, round: Outages["round"]): Promise<number> {
  const startedAtMs = performance.now();
  const { rows } = await pool.query<{ now: Date }>("select clock_timestamp() as now");
  if (round === "asked for") await pool.query("select graphile_worker.add_job('reconcile', '{}'::json)");
  const due = `select count(*)::int as left from graphile_worker.jobs where task_identifier = 'reconcile'`;
  const begun = `select from graphile_worker._private_known_crontabs where identifier = 'reconcile' and last_execution > $1`;
  await eventually(
    async () => {
      if (round === "waited for" && (await pool.query(begun, [rows[0]!.now])).rows.length === 0) return false;
      return (await pool.query<{ left: number }>(due)).rows[0]!.left === 0;
    },
    "a round of reconciling is over",
    180_000,
  );
  return performance.now() - startedAtMs;
}
