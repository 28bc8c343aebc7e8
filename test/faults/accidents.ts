/** What may happen to a running platform of two nodes, one accident at a time. Each leaves everything running again. */
import { setTimeout as sleep } from "node:timers/promises";
import type { Embedded } from "../../src/platform/embedded.ts";
import type { Scene } from "../journeys/scene.ts";
import { childrenOf } from "../support/children.ts";
import type { CuttingProxy } from "../support/cutting-proxy.ts";
import { eventually, type Relay, type Tenant } from "../support/relay.ts";
import type { Dice } from "./dice.ts";

export type World = Readonly<{
  scene: Scene;
  server: Embedded;
  proxy: CuttingProxy;
  dice: Dice;
  /** Undefined: it does not run just now. */
  nodes: (Relay | undefined)[];
  tenants: readonly Tenant[];
  /** From the answer of a close to the question for its end nothing of the tenant may be acknowledged. */
  closed: { tenant: Tenant; fromMs: number; untilMs: number }[];
}>;

export type Accident = (world: World) => Promise<void>;

async function endNode(world: World, signal: NodeJS.Signals): Promise<void> {
  const i = world.dice.below(world.nodes.length);
  const node = world.nodes[i]!;
  world.nodes[i] = undefined;
  await node.stop(signal);
  await sleep(world.dice.below(1000));
  world.nodes[i] = await world.scene.startAgain({ env: { POSTMETER_PROCESSES: world.dice.oneOf(["1", "2"]) } });
}

/** Of a node with more than one process; it is started again by its primary. */
async function endWorker({ nodes, dice }: World): Promise<void> {
  const workers = nodes.flatMap((node) => childrenOf(node?.child.pid));
  if (workers.length > 0) process.kill(dice.oneOf(workers), "SIGKILL");
}

async function stopAWhile(world: World): Promise<void> {
  const node = world.dice.oneOf(world.nodes)!;
  node.child.kill("SIGSTOP");
  await sleep(500 + world.dice.below(3000));
  node.child.kill("SIGCONT");
}

async function killPostgres({ server, scene }: World): Promise<void> {
  const pid = server.pid();
  if (pid !== undefined) process.kill(pid, "SIGQUIT");
  await eventually(
    () =>
      scene.database.pool.query("select 1").then(
        () => server.pid() !== pid,
        () => false,
      ),
    "Postgres is back",
    120_000,
  );
}

async function restartRedis({ scene, dice }: World): Promise<void> {
  await scene.redis!.server.stop("SIGKILL");
  await sleep(dice.below(3000));
  await scene.redis!.server.start();
}

async function pauseRedis({ scene, dice }: World): Promise<void> {
  scene.redis!.server.pause();
  await sleep(300 + dice.below(2500));
  scene.redis!.server.resume();
}

async function loseCounters({ scene }: World): Promise<void> {
  await scene.redis!.redis.flushall().catch(() => {});
}

async function restoreOldImage({ scene, dice }: World): Promise<void> {
  const { redis } = scene.redis!;
  const keys = await redis.keys("pm:*").catch(() => []);
  const images = await Promise.all(keys.map((key) => redis.dumpBuffer(key).catch(() => null)));
  await sleep(dice.below(2000));
  for (const [i, key] of keys.entries()) {
    const image = images[i];
    if (image) await redis.restore(key, 0, image, "REPLACE").catch(() => {});
  }
}

async function loseCommit({ proxy, dice }: World): Promise<void> {
  await Promise.race([proxy.cutNext(dice.oneOf(["answer", "request", "late"])), sleep(5000)]);
}

async function loseUpstream({ scene }: World): Promise<void> {
  scene.upstream.cutAll();
}

/** On a node that may die meanwhile: nobody knows then what came of it. */
async function ask({ nodes, dice }: World, tenant: Tenant, method: string, path: string, body?: object) {
  const node = dice.oneOf(nodes.filter((one) => one !== undefined));
  const answer = node?.call(method, `/v1/subaccounts/${tenant.subaccountId}${path}`, body, { key: tenant.masterKey });
  return (await answer?.catch(() => undefined))?.status;
}

async function changeLimit(world: World): Promise<void> {
  const body = { monthly_limit: 200 + world.dice.below(3000) };
  await ask(world, world.dice.oneOf(world.tenants), "PATCH", "", body);
}

async function topUp(world: World): Promise<void> {
  await ask(world, world.dice.oneOf(world.tenants), "POST", "/top_ups", { units: 1 + world.dice.below(300) });
}

async function closeAWhile(world: World): Promise<void> {
  const tenant = world.dice.oneOf(world.tenants);
  const status = await ask(world, tenant, "POST", "/close");
  const fromMs = performance.now();
  await sleep(world.dice.below(1500));
  const untilMs = performance.now();
  if (status === 200) world.closed.push({ tenant, fromMs, untilMs });
  await eventually(async () => (await ask(world, tenant, "POST", "/reopen")) === 200, "it is open again", 120_000);
}

export const accidents: Readonly<Record<string, Accident>> = {
  "a node is killed": (world) => endNode(world, "SIGKILL"),
  "a node is ended": (world) => endNode(world, "SIGTERM"),
  "a worker is killed": endWorker,
  "a node stands still": stopAWhile,
  "Postgres is killed": killPostgres,
  "Redis is killed": restartRedis,
  "Redis stands still": pauseRedis,
  "Redis is flushed": loseCounters,
  "Redis gets an old image": restoreOldImage,
  "a commit is lost": loseCommit,
  "the upstream is lost": loseUpstream,
  "a limit is changed": changeLimit,
  "a top-up is added": topUp,
  "a tenant is closed": closeAWhile,
};
