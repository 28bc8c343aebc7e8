/** Several processes of one node: shared ports, one set of roles, one set of counts; a process may die, the node does not. */
import { beforeAll, expect, test } from "vitest";
import { childrenOf, lives } from "../support/children.ts";
import { createTenant, eventually, type Relay, startRelay } from "../support/relay.ts";
import { acceptedUnits } from "../support/sessions.ts";
import { openScene } from "./scene.ts";

const PROCESSES = 2;
const scene = await openScene({ env: { POSTMETER_PROCESSES: String(PROCESSES) } });
const { relay, database } = scene;

/** The workers, in the order in which they came: at the start the first has all roles. */
async function workers(of: Relay = relay): Promise<number[]> {
  const { rows } = await database.pool.query<{ pid: number }>("select pid from node order by id");
  const children = childrenOf(of.child.pid);
  return [...new Set(rows.map(({ pid }) => pid))].filter((pid) => children.includes(pid));
}

async function count(name: string): Promise<number> {
  const { text } = await relay.call("GET", "/metrics");
  const line = text.split("\n").find((one) => one.startsWith(`postmeter_${name} `));
  return Number(line?.split(" ")[1]);
}

const logged = (event: string) => relay.log.filter((line) => line.event === event).length;

let accepted = 0;

beforeAll(async () => {
  expect(await workers()).toHaveLength(PROCESSES);
  expect(relay.child.pid).not.toBe((await workers())[0]);
});

test("all processes take mail on one port, under one limit, and /metrics shows the sum of what they did", async () => {
  const tenant = await createTenant(relay, { limit: 200 });
  const race = scene.load(tenant, { sessions: 30, messages: 400 });
  await race.done;
  accepted += acceptedUnits(race.seen);
  expect(accepted).toBe(200);
  expect(await scene.check()).toMatchObject({ faults: [], inDoubt: 0, duplicates: 0 });
  expect(await count("accepted_messages_total")).toBe(200);
  const pids = relay.log.filter((line) => line.event === "message.accepted").map((line) => line.pid);
  expect(new Set(pids)).toEqual(new Set(await workers()));
});

test("a process that dies is started again on the same port; the others go on; what it counted stays counted", async () => {
  const tenant = await createTenant(relay, { limit: null });
  const load = scene.load(tenant, { sessions: 12, pauseMs: 20 });
  await load.more(60, "accepted");
  const [, second] = await workers();
  process.kill(second as number, "SIGKILL");
  await eventually(async () => logged("process.back") === 1 && (await workers()).length === PROCESSES, "it is back");
  await load.more(60, "accepted");
  await load.stop();
  expect(logged("process.died")).toBe(1);
  await scene.letLeasesLapse("all");
  expect((await scene.check()).faults).toEqual([]);
  expect(await count("accepted_messages_total")).toBeGreaterThanOrEqual(accepted);
});

test("when the first process dies, the API is back on its port", async () => {
  const before = await count("accepted_messages_total");
  const [first] = await workers();
  process.kill(first as number, "SIGKILL");
  await eventually(async () => {
    const answer = await relay.call("GET", "/readyz").catch(() => undefined);
    return answer?.status === 200 && logged("process.back") === 2;
  }, "the API answers");
  expect(await count("accepted_messages_total")).toBeGreaterThanOrEqual(before);
  const tenant = await createTenant(relay, { limit: 5 });
  const load = scene.load(tenant, { sessions: 5, messages: 10 });
  await load.done;
  expect(acceptedUnits(load.seen)).toBe(5);
});

test("when all of them die at once, the ports stay what they were", async () => {
  const ports = { ...relay.ports };
  for (const pid of await workers()) process.kill(pid, "SIGKILL");
  await eventually(async () => logged("process.back") === 2 + PROCESSES, "all are back");
  const tenant = await createTenant(relay, { limit: 5 });
  expect(relay.ports).toEqual(ports);
  const load = scene.load(tenant, { sessions: 5, messages: 10 });
  await load.done;
  expect(acceptedUnits(load.seen)).toBe(5);
});

test("SIGHUP reaches all of them; SIGTERM drains all of them under load and leaves nothing behind", async () => {
  relay.child.kill("SIGHUP");
  await eventually(async () => logged("tls.reloaded") === PROCESSES, "all have read the certificate");
  const tenant = await createTenant(relay, { limit: null });
  let open = true;
  const load = scene.load(tenant, { sessions: 12, ports: () => (open ? [relay.ports.submission] : []) });
  await load.more(60, "accepted");
  const pids = await workers();
  open = false;
  expect(await relay.stop("SIGTERM")).toBe(0);
  await load.stop();
  expect(pids.filter(lives)).toEqual([]);
  expect(load.seen.filter((s) => s.knowledge === "unknown")).toEqual([]);
  const { rows } = await database.pool.query(
    "select count(*) as held from queue where owner = any (select id from node where pid = any($1))",
    [pids],
  );
  expect(rows[0].held).toBe(0);
  const again = await scene.startAgain({ env: { POSTMETER_PROCESSES: "1" } });
  await scene.letLeasesLapse();
  expect((await scene.check({ through: again })).faults).toEqual([]);
});

test("workers end with a primary that is killed", async () => {
  const killed: Relay = await scene.startAgain();
  const pids = await workers(killed);
  expect(pids).toHaveLength(PROCESSES);
  await killed.stop("SIGKILL");
  await eventually(async () => pids.filter(lives).length === 0, "the workers have ended");
});

test("settings that fit no process are told once, and the program ends", async () => {
  const start = startRelay({
    databaseUrl: scene.databaseUrl,
    env: { POSTMETER_PROCESSES: "2", POSTMETER_SUBMISSION_HOST: "192.0.2.1", POSTMETER_UPSTREAM_URL: "capture:" },
  });
  await expect(start).rejects.toThrow(
    /ended with 1:[\s\S]*POSTMETER_SUBMISSION_HOST[\s\S]*A worker process did not start/,
  );
});
