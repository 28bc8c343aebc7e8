/**
 * Two nodes under a steady mixed load and random faults. One of them lives through all that happens to Postgres, Redis, the
 * upstream and the other node: what it holds must not grow. At the end the queue drains and the books are right.
 */
import { setTimeout as sleep } from "node:timers/promises";
import type { Embedded } from "../../src/platform/embedded.ts";
import { accidents, type World } from "../faults/accidents.ts";
import { createDice } from "../faults/dice.ts";
import { openScene } from "../journeys/scene.ts";
import { startCuttingProxy } from "../support/cutting-proxy.ts";
import type { Relay, Tenant } from "../support/relay.ts";
import { acceptedUnits } from "../support/sessions.ts";
import { judge, type Sample } from "./judge.ts";
import { descriptorsOf, type Sampler, startSampler } from "./sample.ts";
import { createTenants, moodyUpstream, startTraffic, type Traffic } from "./traffic.ts";

export type SoakOptions = Readonly<{
  seconds: number;
  seed: number;
  server: Embedded;
  databaseUrl: string;
  sampleMs: number;
  /** Between two faults at most. */
  faultMs: number;
  tell: (line: string) => void;
  program?: string;
}>;

export type Fault = Readonly<{ seconds: number; name: string }>;
export type Outcome = Readonly<{
  violations: readonly string[];
  samples: readonly Sample[];
  faults: readonly Fault[];
  figures: Readonly<Record<string, number>>;
}>;

const PROGRESS_MS = 30_000;
const SETTLE_MS = 2_000;
/** As `npm run postmeter` starts it (package.json). */
const HEAP = "--max-old-space-size=1024 --max-semi-space-size=16";

export async function soak(options: SoakOptions): Promise<Outcome> {
  const { tell } = options;
  const { world, watched, tenants } = await openWorld(options);
  const { scene } = world;
  const pid = watched.child.pid!;
  const idle = { before: descriptorsOf(pid), after: 0 };
  const nodes = () => [watched, ...world.nodes.filter((node) => node !== undefined)];
  const traffic = startTraffic(scene, tenants, nodes);
  const sampler = startSampler({ pid, database: scene.database, seen: traffic.seen }, options.sampleMs);
  const progress = setInterval(() => tell(progressOf(sampler, traffic)), PROGRESS_MS);
  const faults = await playFaults(world, options);
  await sampler.take();
  sampler.stop();
  clearInterval(progress);
  await traffic.stop();
  tell("all is said; the queue drains");
  await scene.letLeasesLapse("all");
  const audit = await scene.check({ through: watched, patienceMs: 180_000 });
  await sleep(SETTLE_MS);
  idle.after = descriptorsOf(pid);
  const violations = [...judge(sampler.samples, idle), ...audit.faults];
  const code = await watched.stop();
  if (code !== 0) violations.push(`the node that lived through all ended with ${code}`);
  await scene.end();
  const { inDoubt, duplicates, units } = audit;
  const figures = { ...countsOf(traffic), faults: faults.length, units, "in doubt": inDoubt, duplicates };
  return { violations, samples: sampler.samples, faults, figures };
}

async function openWorld(options: SoakOptions): Promise<{ world: World; watched: Relay; tenants: readonly Tenant[] }> {
  const { seed, server, databaseUrl, program } = options;
  const dice = createDice(seed);
  const proxy = await startCuttingProxy(databaseUrl, "accept_batch");
  const scene = await openScene({
    databaseUrl,
    relayUrl: proxy.url,
    script: moodyUpstream(createDice(seed + 1)),
    env: { POSTMETER_RETRY_SCHEDULE: "1s", POSTMETER_LOG_LEVEL: "warn", NODE_OPTIONS: HEAP },
    ...(program === undefined ? {} : { program }),
  });
  const tenants = await createTenants(scene.relay);
  // Accidents happen to the second node alone, and to all that both stand on; no limit is set for the first tenant.
  const nodes = [await scene.startAgain()];
  const unlucky = tenants.slice(1);
  return { world: { scene, server, proxy, dice, nodes, tenants: unlucky, closed: [] }, watched: scene.relay, tenants };
}

/** Until the time is over, the last quarter of a pause before it. */
async function playFaults(world: World, { seconds, faultMs, tell }: SoakOptions): Promise<Fault[]> {
  const { dice } = world;
  const startedAt = performance.now();
  const left = () => seconds * 1000 - (performance.now() - startedAt);
  const faults: Fault[] = [];
  while (left() > faultMs) {
    await sleep(Math.min(left(), faultMs / 4 + dice.below(faultMs)));
    const name = dice.oneOf(Object.keys(accidents));
    faults.push({ seconds: (performance.now() - startedAt) / 1000, name });
    await accidents[name]!(world);
    tell(`  ${name}`);
  }
  await sleep(Math.max(0, left()));
  return faults;
}

function countsOf(traffic: Traffic): Record<string, number> {
  const seen = traffic.seen();
  const known = Object.groupBy(seen, (sent) => sent.knowledge);
  const counts = Object.entries(known).map(([knowledge, all]) => [knowledge, all?.length ?? 0] as const);
  const calls = Object.entries(traffic.calls).map(([name, n]) => [`API ${name}`, n] as const);
  return { ...Object.fromEntries([...counts, ...calls]), "accepted units": acceptedUnits(seen) };
}

function progressOf({ samples }: Sampler, traffic: Traffic): string {
  const last = samples.at(-1);
  if (last === undefined) return "no sample yet";
  const { seconds, rssMb, descriptors, queue, p99Ms } = last;
  const counts = Object.entries(countsOf(traffic)).map(([name, n]) => `${name} ${n}`);
  return `${seconds.toFixed(0)} s: ${rssMb.toFixed(0)} MB, ${descriptors} descriptors, ${queue} queued, p99 ${p99Ms.toFixed(0)} ms; ${counts.join(", ")}`;
}
