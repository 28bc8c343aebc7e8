/**
 * A relay that is killed at a chosen point of a message's way. Nothing in the program knows of it: what goes between it and
 * Redis, Postgres and the upstream is held just there (support/holding-proxy.ts), and all its processes are killed meanwhile.
 */
import { formatId, type MasterId, type MessageId, parseId } from "../../src/platform/ids.ts";
import { createCounters, scripts } from "../../src/quota/counters.ts";
import { openScene, type Scene } from "../journeys/scene.ts";
import { createDatabase } from "../support/database.ts";
import { type HoldingProxy, startHoldingProxy } from "../support/holding-proxy.ts";
import { readCharged, readCounters } from "../support/ledger-rows.ts";
import { createTenant, eventually, type Relay, type Tenant } from "../support/relay.ts";
import { type Load, MARKED } from "../support/sessions.ts";
import { type Copy, copiesAgainstRecords, fatesOf, keepingTime, killAll } from "./crash-kill.ts";

type Stage = Readonly<{
  scene: Scene;
  postgres: HoldingProxy;
  redis: HoldingProxy;
  tenant: Tenant;
  /** The next message that the upstream has whole; its 250 does not leave before `letGo`. */
  holdUpstream(): Promise<string>;
}>;

/** What was held, by marker or `msg_...`, and what must have come of it. */
type Caught = Readonly<{ held: readonly string[]; judge(after: After): string[] }>;
type After = Readonly<{
  charged: ReadonlyMap<string, string>; // marker to id
  load: Load;
  /** How many times it came, by marker. */
  came(marker: string): number;
}>;

/** Resolves when a message is held there. */
type Point = (stage: Stage) => Promise<Caught>;

const markersOf = (call: string) => [...new Set(call.match(new RegExp(`\\w{18}@${MARKED.replace(".", "\\.")}`, "g")))];
const idsOf = (call: string) =>
  [...new Set(call.match(/[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}/g))].map((id) => formatId("msg", id as MessageId));

const knowledgeOf = ({ load }: After, marker: string) => load.seen.find((s) => s.marker === marker)?.knowledge;

export const points: Readonly<Record<string, Point>> = {
  /** The answer of reserve.lua is held when Redis has counted what no row holds. */
  async "after reserve"({ redis, scene, tenant }) {
    const held = redis.holdNext(scripts.reserve.sha, "answer");
    const counted = async () => (await driftOf(scene, tenant)) > 0;
    await held;
    await eventually(counted, "Redis has counted more than Postgres");
    return { held: ["the reservation"], judge: () => [] };
  },
  /** The call of accept_batch is held before it reaches Postgres. */
  async "before the accept call"({ postgres }) {
    const held = markersOf(await postgres.holdNext("accept_batch", "request"));
    const judge = (after: After) =>
      held.filter((marker) => after.charged.has(marker)).map((marker) => `${marker} is charged, and was never stored`);
    return { held, judge };
  },
  /** The answer of accept_batch is held, with the ReadyForQuery that says that all is committed. */
  async "after the commit, before the 250"({ postgres }) {
    const held = markersOf(await postgres.holdNext("accept_batch", "answer"));
    const judge = (after: After) =>
      held.flatMap((marker) => [
        ...(after.charged.has(marker) ? [] : [`${marker} was committed, and is not charged`]),
        ...(after.came(marker) === 1 ? [] : [`${marker} was committed, and came ${after.came(marker)} times`]),
        ...(knowledgeOf(after, marker) === "unknown" ? [] : [`${marker} was answered before the commit was known`]),
      ]);
    return { held, judge };
  },
  /** The upstream has the message and has not said so yet. */
  async "before upstream's 250"({ holdUpstream }) {
    const held = [await holdUpstream()];
    return { held, judge: (after) => cameBut(after, held, 2) };
  },
  /** The call of settle_batch is held before it reaches Postgres: it is made when the upstream's 250 is read. */
  async "after upstream's 250, before its result is stored"({ postgres }) {
    const held = idsOf(await postgres.holdNext("settle_batch", "request"));
    return { held, judge: (after) => cameBut(after, markersFor(after, held), 2) };
  },
  /** The answer of settle_batch is held: from then on nothing may come again. */
  async "after its result is stored"({ postgres }) {
    const held = idsOf(await postgres.holdNext("settle_batch", "answer"));
    return { held, judge: (after) => cameBut(after, markersFor(after, held), 1) };
  },
};

const markersFor = ({ charged }: After, ids: readonly string[]) =>
  [...charged].filter(([, id]) => ids.includes(id)).map(([marker]) => marker);

function cameBut(after: After, markers: readonly string[], times: number): string[] {
  if (markers.length === 0) return ["nothing was held"];
  return markers
    .filter((marker) => after.came(marker) !== times)
    .map((marker) => `${marker} came ${after.came(marker)} times instead of ${times}`);
}

/** What Redis has counted beyond the subaccount's row. */
async function driftOf({ redis, database }: Scene, { masterId, subaccountId }: Tenant): Promise<number> {
  const row = (await readCounters(database, [masterId])).find(({ account }) => account === subaccountId);
  if (row === undefined) return 0;
  const inRedis = await createCounters(redis!.redis, 0).read(parseId("mas", masterId) as MasterId, row.periodStart);
  return (inRedis.get(row.rawId as never)?.used ?? row.used) - row.used;
}

/** A gate at the upstream's end of data. */
function upstreamGate() {
  let waiting: ((marker: string) => void) | undefined;
  let letGo = () => {};
  const { script, copies } = keepingTime({
    end() {
      const held = waiting;
      waiting = undefined;
      if (held === undefined) return undefined;
      const { promise, resolve } = Promise.withResolvers<undefined>();
      letGo = () => resolve(undefined);
      held((copies.at(-1) as Copy).marker);
      return promise;
    },
  });
  const hold = () => new Promise<string>((resolve) => (waiting = resolve));
  return { script, copies, hold, letGo: () => letGo() };
}

export type PointOptions = Readonly<{
  processes: number;
  program?: string;
  /** Of the scene's database, before the load; what it gives is called after the last kill. */
  prepare?: (scene: Scene) => Promise<() => Promise<void>>;
}>;

/** One after the other in one scene. */
export async function killAtPoints(names: readonly string[], { processes, program, prepare }: PointOptions) {
  const direct = await createDatabase();
  const gate = upstreamGate();
  const postgres = await startHoldingProxy(direct);
  let redis: HoldingProxy | undefined;
  const scene = await openScene({
    databaseUrl: direct,
    relayUrl: postgres.url,
    relayRedisUrl: async (url) => {
      redis = await startHoldingProxy(url);
      return redis.url;
    },
    script: gate.script,
    env: { POSTMETER_PROCESSES: String(processes) },
    ...(program === undefined ? {} : { program }),
  });
  const repair = await prepare?.(scene);
  const tenant = await createTenant(scene.relay, { limit: 1_000_000 });
  const stage: Stage = { scene, postgres, redis: redis as HoldingProxy, tenant, holdUpstream: gate.hold };
  let relay: Relay | undefined = scene.relay;
  const ports = () => (relay === undefined ? [] : [relay.ports.submission]);
  const load = scene.load(tenant, { ports, sessions: 6, units: (n) => 1 + (n % 2), pauseMs: 20 });
  const caught: { name: string; catch: Caught }[] = [];
  for (const name of names) {
    await load.more(12, "accepted");
    caught.push({ name, catch: await points[name]!(stage) });
    const killed: Relay = relay;
    relay = undefined;
    await killAll(killed);
    gate.letGo();
    if (caught.length === names.length) await repair?.();
    relay = await scene.startAgain();
  }
  await load.more(12, "accepted");
  await load.stop();
  await scene.letLeasesLapse();
  const { faults, ...sums } = await scene.check({ through: relay });
  const charged = await readCharged(scene.database, [tenant.masterId]);
  const after: After = {
    load,
    charged: new Map(charged.map(({ marker, id }) => [marker, id])),
    came: (marker) => gate.copies.filter((copy) => copy.marker === marker).length,
  };
  const sent = load.seen.filter((s) => s.knowledge !== "unsent");
  const known = (what: string) => sent.filter((s) => s.knowledge === what).length;
  return {
    scene,
    copies: gate.copies,
    faults: [
      ...faults,
      ...caught.flatMap(({ name, catch: one }) => one.judge(after).map((fault) => `${name}: ${fault}`)),
      ...(await copiesAgainstRecords(scene.database, gate.copies)),
    ],
    figures: {
      kills: names.length,
      "messages held": caught.reduce((sum, { catch: one }) => sum + one.held.length, 0),
      messages: sent.length,
      acknowledged: known("accepted"),
      unanswered: known("unknown"),
      "of these stored": sums.inDoubt,
      ...(await fatesOf(scene.database)),
      duplicates: sums.duplicates,
    },
  };
}
