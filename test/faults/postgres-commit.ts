/** Commits whose result never reaches the relay, one after the other under load. */
import { openScene } from "../journeys/scene.ts";
import { type Cut, startCuttingProxy } from "../support/cutting-proxy.ts";
import { createDatabase } from "../support/database.ts";
import { createTenant } from "../support/relay.ts";
import { createDice } from "./dice.ts";
import { judge } from "./postgres-failover.ts";

const CUTS: readonly Cut[] = ["answer", "request", "late"];

/** The answer of the accept call, the call, or the call until its sender has given up. */
export async function cutCommits(times: number, seed: number, program?: string) {
  const dice = createDice(seed);
  const direct = await createDatabase();
  const proxy = await startCuttingProxy(direct, "accept_batch");
  const told = program === undefined ? {} : { program };
  const scene = await openScene({ databaseUrl: direct, relayUrl: proxy.url, ...told });
  const tenant = await createTenant(scene.relay, { limit: null });
  const load = scene.load(tenant, { sessions: 8, units: (n) => 1 + (n % 3) });
  for (let n = 0; n < times; n++) {
    await load.more(5 + dice.below(20), "accepted");
    await proxy.cutNext(CUTS[n % CUTS.length] as Cut);
  }
  await load.more(20, "accepted");
  await load.stop();
  const fenced = scene.relay.log.filter((line) => line.event === "accept.fenced").length;
  return judge(scene, load, { cuts: times, fenced });
}
