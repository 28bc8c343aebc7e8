/** Greedy clients, in numbers for seconds; `npm run faults -- --only greed` has all of them. */
import { beforeAll, expect, test } from "vitest";
import { freePort } from "../bench/ports.ts";
import { openScene } from "../journeys/scene.ts";
import { createTenant } from "../support/relay.ts";
import { bruteForce, crowds, idle, large, type Stage, slowloris, stalled } from "./greed.ts";
import { flood, slowUpstream } from "./greed-flood.ts";

const MB = 1_000_000;
const { script, arrivals } = slowUpstream(2);
const env = { POSTMETER_MAX_CONNECTIONS_PER_CLIENT: "150", POSTMETER_SUBMISSIONS_PORT: String(await freePort()) };
const scene = await openScene({ script, env });
let stage: Stage;

beforeAll(async () => {
  const free = () => createTenant(scene.relay, { limit: null });
  stage = { relay: scene.relay, bystander: await free(), greedy: await free() };
});

test("idle connections cost others nothing, and who has its share is told 421 at once", async () => {
  const { shown, refused } = await idle(stage, { connections: 300, perAddress: 150, over: 10 });
  expect(shown).toMatchObject({ "idle greeted": 300, "of one address": 150, "told 421": 10 });
  expect(refused).toEqual([]);
});

test("clients that speak byte by byte hold nobody up", async () => {
  const { refused } = await slowloris(stage, { ofEach: 40, seconds: 1 });
  expect(refused).toEqual([]);
});

test("many large messages at once are all taken in bounded memory, and small ones beside them", async () => {
  const { shown, refused } = await large(stage, { sessions: 10, bytes: 3 * MB });
  expect(shown.accepted).toBe(10);
  expect(refused).toEqual([]);
});

test("an account whose sessions stall with all the memory it may have stops no other's large messages", async () => {
  const how = { owners: [stage.greedy], each: 120, bytes: 0.5 * MB, others: 2, patienceMs: 20_000 };
  const { shown, refused } = await stalled(stage, how);
  expect(shown).toMatchObject({ "large through": 2 });
  expect(refused).toEqual([]);
});

test("who guesses passwords is let in never, and the owner of the name from elsewhere always", async () => {
  const { shown, refused } = await bruteForce(stage, { attempts: 120, sessions: 6 });
  expect(shown["let in"]).toBe(0);
  expect(shown["locked 421"]).toBeGreaterThan(0);
  expect(refused).toEqual([]);
});

test("messages for a thousand recipients are charged and delivered to the last one", async () => {
  const crowd = { ...stage, greedy: await createTenant(scene.relay, { limit: null }) };
  const { shown, refused } = await crowds(crowd, scene, { messages: 3, sessions: 3 });
  expect(shown).toMatchObject({ accepted: 3, units: 3000 });
  expect(refused).toEqual([]);
  expect(await scene.check({ redis: "exact" })).toMatchObject({ faults: [], duplicates: 0 });
});

test("one account's flood and its backlog do not hold up another's messages", async () => {
  const greedy = await createTenant(scene.relay, { limit: null });
  const how = { backlog: 2_000, sessions: 10, seconds: 2, lateMs: 20_000 };
  const { shown, refused, late } = await flood(scene, arrivals, { ...stage, greedy }, how);
  expect(late).toBe(0);
  expect(refused).toEqual([]);
  expect(shown.served).toBeGreaterThan(0);
});
