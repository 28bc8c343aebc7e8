/** Greedy clients: thousands of idle ones, slow ones, large messages, guessed passwords, floods; others are served beside them. */
import { beforeAll, expect, test, vi } from "vitest";
import { freePort } from "../bench/ports.ts";
import { openScene, type Scene } from "../journeys/scene.ts";
import { mutateProgram } from "../support/mutant.ts";
import { createTenant, type Tenant } from "../support/relay.ts";
import { show } from "./figures.ts";
import { type Beside, bruteForce, crowds, idle, large, type Stage, slowloris, stalled } from "./greed.ts";
import { pause, startBystander, tooFewDescriptors } from "./greed-clients.ts";
import { flood, slowUpstream } from "./greed-flood.ts";

const MB = 1_000_000;
vi.setConfig({ testTimeout: 15 * 60_000 }); // a crowd takes its time on a small machine
/** Others are served within that, and what they take on this machine when nobody is greedy. */
const PROMPT_MS = 2_000;
/** Of a node with the heap of package.json, whatever is connected. */
const MOST_MB = 300;
/**
 * While 200 large messages arrive: the budget of 32 MiB, what the library's streams hold of each that is paused (about 0.2 MB),
 * the parts that are being written, and the garbage between two collections.
 */
const MOST_RECEIVING_MB = 450;
/** As `npm run postmeter` starts it. */
const NODE_OPTIONS = "--max-old-space-size=1024 --max-semi-space-size=16";

async function openStage(told: { program?: string; script?: Parameters<typeof openScene>[0] } = {}) {
  const { program } = told;
  const env = { NODE_OPTIONS, POSTMETER_LOG_LEVEL: "warn", POSTMETER_SUBMISSIONS_PORT: String(await freePort()) };
  const scene = await openScene({ env, ...(program === undefined ? {} : { program }), ...told.script });
  const stage = { relay: scene.relay, bystander: await free(scene), greedy: await free(scene) };
  return { scene, stage };
}

const free = (scene: Scene): Promise<Tenant> => createTenant(scene.relay, { limit: null });

let scene: Scene;
let stage: Stage;
let alone: Readonly<{ worstMs: number }>;
beforeAll(async () => {
  ({ scene, stage } = await openStage());
  const bystander = startBystander(() => scene.relay.ports.submission, stage.bystander);
  await pause(5_000);
  alone = await bystander.stop();
  console.log(`  a message of the bystander alone takes ${Math.round(alone.worstMs)} ms at worst`);
});

function prompt({ shown, refused }: Beside): void {
  expect(refused).toEqual([]);
  expect(shown["worst ms"]).toBeLessThan(PROMPT_MS + alone.worstMs);
}

test("5,000 idle connections, and more than its share from one address: others are served", async ({ task, skip }) => {
  const few = tooFewDescriptors(8_000);
  if (few !== undefined) return skip(few);
  const result = await idle(stage, { connections: 5_000, perAddress: 1_000, over: 200 });
  show(task, "load", result.shown);
  expect(result.shown).toMatchObject({ "idle greeted": 5_000, "of one address": 1_000, "told 421": 200 });
  expect(result.shown["peak MB"]).toBeLessThan(MOST_MB);
  prompt(result);
});

test("control: without a share for each address one client takes as many as it likes", async ({ task }) => {
  const program = mutateProgram("src/submission/limits.ts", { from: "if (count >= max) return false;", to: "" });
  const other = await openStage({ program });
  const { shown } = await idle(other.stage, { connections: 10, perAddress: 1_000, over: 200 });
  show(task, "load", shown);
  await other.scene.end();
  expect(shown).toMatchObject({ "of one address": 1_200, "told 421": 0 });
});

test("1,500 clients that speak byte by byte: others are served, unfinished handshakes end after 30 s", async ({
  task,
}) => {
  const result = await slowloris(stage, { ofEach: 500, seconds: 35 });
  show(task, "load", result.shown);
  expect(result.shown["handshakes cut off"]).toBe(500);
  prompt(result);
});

test("20 messages for 1,000 recipients each are charged and delivered whole", async ({ task }) => {
  const result = await crowds({ ...stage, greedy: await free(scene) }, scene, { messages: 20, sessions: 10 });
  show(task, "P2, P3", result.shown);
  expect(result.shown).toMatchObject({ accepted: 20, units: 20_000 });
  prompt(result);
  expect(await scene.check({ redis: "exact" })).toMatchObject({ faults: [], duplicates: 0 });
});

test("200 guessers of passwords from one address are never let in; the owner of the name is, from elsewhere", async ({
  task,
}) => {
  const result = await bruteForce(stage, { attempts: 6_000, sessions: 200 });
  show(task, "P4", result.shown);
  expect(result.shown["let in"]).toBe(0);
  prompt(result);
});

test("600 messages of three accounts stall with all the memory there is: others' large messages come through", async ({
  task,
}) => {
  const owners = [stage.greedy, await free(scene), await free(scene)];
  const how = { owners, each: 200, bytes: 0.6 * MB, others: 5, patienceMs: 60_000 };
  const result = await stalled(stage, how);
  show(task, "load", result.shown);
  expect(result.shown["large through"]).toBe(5);
  prompt(result);
});

test("control: where nobody who stalls is cut off, no large message comes through", async ({ task }) => {
  const program = mutateProgram("src/submission/memory.ts", {
    from: "|| !wanted) continue",
    to: ") continue; continue",
  });
  const other = await openStage({ program });
  const owners = [other.stage.greedy, await free(other.scene), await free(other.scene)];
  const how = { owners, each: 200, bytes: 0.6 * MB, others: 1, patienceMs: 30_000 };
  const { shown } = await stalled(other.stage, how);
  show(task, "load", shown);
  await other.scene.end();
  expect(shown["large through"]).toBe(0);
});

test("200 messages of 25 MB at once are all taken in bounded memory", async ({ task }) => {
  const { script } = slowUpstream(0);
  const own = await openStage({ script: { script } });
  const result = await large(own.stage, { sessions: 200, bytes: 25 * MB });
  show(task, "load", result.shown);
  expect(result.shown.accepted).toBe(200);
  expect(result.refused).toEqual([]);
  expect(result.shown["peak MB"]).toBeLessThan(MOST_RECEIVING_MB);
  await own.scene.end();
});

test("control: without a budget the same messages take more memory", async ({ task }) => {
  const program = mutateProgram("src/submission/limits.ts", { from: "32 * 1024 * 1024", to: "1024 * 1024 * 1024" });
  const other = await openStage({ program });
  const { shown } = await stalled(other.stage, {
    owners: [other.stage.greedy],
    each: 400,
    bytes: 1.2 * MB,
    others: 1,
    patienceMs: 20_000,
  });
  show(task, "load", shown);
  await other.scene.end();
  expect(shown["peak MB"]).toBeGreaterThan(MOST_RECEIVING_MB);
});

test("a backlog of 200,000 messages and a live flood of one account: another's message is delivered within 2 s", async ({
  task,
}) => {
  const { script, arrivals } = slowUpstream(5);
  const own = await openStage({ script: { script } });
  const how = { backlog: 200_000, sessions: 50, seconds: 30, lateMs: PROMPT_MS + alone.worstMs };
  const result = await flood(own.scene, arrivals, own.stage, how);
  show(task, "P4", result.shown);
  await own.scene.end();
  expect(result.refused).toEqual([]);
  expect(result.late).toBe(0);
});

test("control: where accounts do not take turns, another's message waits behind the flood", async ({ task }) => {
  const from = "const line = lines.get(ownerOf(parcel));";
  const program = mutateProgram(
    "src/delivery/turns.ts",
    { from, to: 'const line = lines.get("all" as SubaccountId);' },
    { from: "lines.set(ownerOf(parcel), {", to: 'lines.set("all" as SubaccountId, {' },
  );
  const { script, arrivals } = slowUpstream(20);
  const other = await openStage({ program, script: { script } });
  const how = { backlog: 2_000, sessions: 50, seconds: 10, lateMs: PROMPT_MS };
  const result = await flood(other.scene, arrivals, other.stage, how);
  show(task, "P4", result.shown);
  await other.scene.end();
  expect(result.late).toBeGreaterThan(0);
});
