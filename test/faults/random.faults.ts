/** Random accidents under load: after each round the books are right, whatever has happened. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import pg from "pg";
import { afterAll, beforeAll, expect, inject, test } from "vitest";
import { type Embedded, startEmbedded } from "../../src/platform/embedded.ts";
import { openScene } from "../journeys/scene.ts";
import { startCuttingProxy } from "../support/cutting-proxy.ts";
import { silentLog } from "../support/log.ts";
import { createSubaccount, createTenant, type Tenant } from "../support/relay.ts";
import type { Load } from "../support/sessions.ts";
import { withDatabase } from "../support/template.ts";
import { accidents, type World } from "./accidents.ts";
import { createDice, type Dice } from "./dice.ts";

const ROUND_ACCIDENTS = 8;
const LEASES_MS = 62_000;

const folder = mkdtempSync(join(tmpdir(), "postmeter-test-faults-"));
let server: Embedded;

beforeAll(async () => {
  server = await startEmbedded(folder, silentLog, ["max_connections=300"]);
});
afterAll(async () => {
  await server[Symbol.asyncDispose]();
  rmSync(folder, { recursive: true, force: true });
});

async function freshDatabase(name: string): Promise<string> {
  const client = new pg.Client({ connectionString: server.url });
  await client.connect();
  await client.query(`create database ${name}`);
  await client.end();
  return withDatabase(server.url, name);
}

/** An upstream that defers now and then, and knows one recipient never. */
function moody(dice: Dice) {
  return {
    rcpt(line: string) {
      if (line.includes("<reader3@")) return "550 5.1.1 Nobody here";
      return dice.below(40) === 0 ? "451 4.2.0 Later" : undefined;
    },
  };
}

async function openWorld(seed: number): Promise<World> {
  const dice = createDice(seed);
  const databaseUrl = await freshDatabase(`round_${seed}`);
  const proxy = await startCuttingProxy(databaseUrl, "accept_batch");
  const scene = await openScene({
    databaseUrl,
    relayUrl: proxy.url,
    script: moody(createDice(seed + 1)),
    env: { POSTMETER_RETRY_SCHEDULE: "1s", POSTMETER_PROCESSES: dice.oneOf(["1", "2"]) },
  });
  const free = await createTenant(scene.relay, { limit: null });
  const limited = await createTenant(scene.relay, { limit: 1500 });
  const capped = await createTenant(scene.relay, { limit: 900, allowance: 1200 });
  const other = await createSubaccount(scene.relay, capped.masterKey, 900);
  const tenants: Tenant[] = [free, limited, capped, { ...capped, ...other }];
  return { scene, server, proxy, dice, nodes: [scene.relay, await scene.startAgain()], tenants, closed: [] };
}

function startLoads({ scene, nodes, tenants }: World): Load[] {
  const ports = () => nodes.flatMap((node) => (node === undefined ? [] : [node.ports.submission]));
  const units = (n: number) => 1 + (n % 4);
  return tenants.map((tenant) => scene.load(tenant, { senders: [tenant], ports, sessions: 6, units, pauseMs: 20 }));
}

/** Acknowledged while the tenant was closed. */
function against({ closed }: World, loads: readonly Load[]): string[] {
  const seen = loads.flatMap((load) => load.seen).filter((s) => s.knowledge === "accepted");
  return closed.flatMap(({ tenant, fromMs, untilMs }) =>
    seen
      .filter((s) => s.subaccountId === tenant.subaccountId && s.dotAtMs > fromMs && s.answeredAtMs < untilMs)
      .map((s) => `${s.messageId} was acknowledged while its tenant was closed`),
  );
}

async function playRound(seed: number, patient: boolean): Promise<void> {
  const world = await openWorld(seed);
  const { scene, dice } = world;
  const loads = startLoads(world);
  console.log(`round ${seed}`);
  for (let i = 0; i < ROUND_ACCIDENTS; i++) {
    await sleep(200 + dice.below(1500));
    const name = dice.oneOf(Object.keys(accidents));
    const startedAt = performance.now();
    await accidents[name]!(world);
    console.log(`  ${name} (${Math.round(performance.now() - startedAt)} ms)`);
  }
  await Promise.all(loads.map((load) => load.more(10)));
  await Promise.all(loads.map((load) => load.stop()));
  console.log("  all is said");
  if (patient) await sleep(LEASES_MS);
  else await scene.letLeasesLapse("all");
  const through = world.nodes.find((node) => node !== undefined)!;
  const { faults, ...sums } = await scene.check({ through, patienceMs: 120_000 }).catch((error) => {
    for (const node of world.nodes) console.log(JSON.stringify(node?.log.filter((l) => l.level !== "info").slice(-20)));
    throw error;
  });
  const seen = loads.flatMap((load) => load.seen);
  const knowledge = Object.entries(Object.groupBy(seen, (s) => s.knowledge)).map(([k, all]) => `${k} ${all?.length}`);
  console.log(`  ${knowledge.join(", ")}; ${JSON.stringify(sums)}`);
  await scene.end();
  expect([...faults, ...against(world, loads)], `seed ${seed}`).toEqual([]);
}

test("random accidents leave the books right", async () => {
  const until = performance.now() + inject("minutes") * 60_000;
  let seed = inject("seed");
  for (let round = 1; performance.now() < until; round++, seed++) await playRound(seed, round % 4 === 0);
}, 86_400_000);
