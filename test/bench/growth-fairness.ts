/** One tenant floods; another sends a single message now and then. How long until it is at its reader's server? */
import { setTimeout as sleep } from "node:timers/promises";
import { runSession } from "./client.ts";
import { drained } from "./growth-drain.ts";
import type { Figure, Found } from "./growth-figures.ts";
import { prepare } from "./growth-seed.ts";
import { hold, release, seedBacklog, settleDown } from "./growth-seed-backlog.ts";
import { bookProblems, type Ground, oneRound, type Stage } from "./growth-stage.ts";
import { nowMs } from "./moment.ts";
import type { Sink } from "./sink.ts";
import { percentile } from "./statistics.ts";
import type { Login } from "./target.ts";

const everyMs = 200;
const patienceMs = 60_000;
const floodingSessions = 50;

export async function fairnessGrowth(ground: Ground): Promise<Found> {
  const { options, say } = ground;
  await using stage = await ground.open({ subaccounts: 2 });
  await prepare(stage.pool);
  const [flooding] = stage.subaccountIds;
  const login = stage.relay.logins[1]!;
  const run = ground.nextRun();
  await hold(stage.pool, flooding!);
  const { masterId } = stage;
  const seeded = { masterId, subaccountId: flooding!, run, count: options.flood, sizeBytes: 4096, due: "now" } as const;
  await seedBacklog(stage.pool, seeded, say);
  await settleDown(stage.pool, say);
  say("alone");
  const alone = await probe(ground, stage, login, sleep(options.seconds * 1000));
  say("beside a queue of the other's");
  const drain = drained(ground.sink, run, options.flood, () => release(stage.pool, flooding!));
  const queued = await probe(ground, stage, login, drain);
  say("beside what the other sends now");
  const inflow = flood(ground, stage);
  const sent = await probe(ground, stage, login, inflow);
  const { perSecond, problems } = await drain;
  return {
    figures: [
      { what: "single messages alone, slowest", seen: alone.slowest, unit: "ms", goal: null, note: alone.note },
      figure(`beside ${options.flood.toLocaleString("en-US")} queued messages, slowest`, queued),
      figure("beside what comes in as fast as it can, slowest", sent),
      { what: "the flood drained at", seen: perSecond, unit: "/s", goal: null },
    ],
    curves: [],
    problems: [
      ...problems,
      ...alone.problems,
      ...queued.problems,
      ...sent.problems,
      ...(await inflow),
      ...(await bookProblems("fairness", stage)),
    ],
  };
}

type Probe = Readonly<{ slowest: number; note: string; problems: readonly string[] }>;

function figure(what: string, { slowest, note }: Probe): Figure {
  return { what, seen: slowest, unit: "ms", goal: { atMost: 2000 }, note };
}

/** Single messages until `end`: from MAIL to the arrival, each a run of its own. */
async function probe(ground: Ground, stage: Stage, login: Login, end: Promise<unknown>): Promise<Probe> {
  const times: number[] = [];
  const problems: string[] = [];
  let over = false;
  void end.finally(() => {
    over = true;
  });
  const { sink, options } = ground;
  while (!over) {
    const run = ground.nextRun();
    const sent = await sendOne(stage.relay.ports.off!, login, run);
    const cameAt = await arrival(sink, run);
    if (cameAt === undefined) problems.push(`a single message did not come within ${patienceMs / 1000} s`);
    else times.push(cameAt - sent);
    await sleep(Math.min(everyMs, options.seconds * 100));
  }
  times.sort((a, b) => a - b);
  const note = `${times.length} messages, p50 ${percentile(times, 50).toFixed(0)} ms, p99 ${percentile(times, 99).toFixed(0)} ms`;
  return { slowest: times.at(-1) ?? Number.NaN, note, problems };
}

/** When MAIL was sent, in ms of the machine's monotonic clock. Throws unless it was accepted. */
async function sendOne(port: number, login: Login, run: number): Promise<number> {
  let sentAt: number | undefined;
  let wrong: string | undefined;
  const note = (_: number, why: string): void => {
    wrong = why;
  };
  const traffic = { port, tls: "off", login, pipelining: false, sizeBytes: 4096, keep: true, run } as const;
  await runSession(traffic, {
    ready: () => Promise.resolve(),
    take: () => {
      if (sentAt !== undefined) return undefined;
      sentAt = nowMs();
      return 0;
    },
    accepted: () => {},
    refused: note,
    unknown: note,
  });
  if (wrong !== undefined || sentAt === undefined) throw new Error(`a single message was not accepted: ${wrong}`);
  return sentAt;
}

async function arrival(sink: Sink, run: number): Promise<number | undefined> {
  for (const until = Date.now() + patienceMs; Date.now() < until; ) {
    const { unique, firstAt } = await sink.count(run);
    if (unique > 0) return firstAt;
    await sleep(5);
  }
  return undefined;
}

/** What the flooding tenant sends for a while; what was wrong with it. */
async function flood(ground: Ground, stage: Stage): Promise<readonly string[]> {
  const side = { name: "flood", stage, logins: stage.relay.logins.slice(0, 1), sessions: floodingSessions };
  const { problems } = await oneRound(ground, side);
  return problems;
}
