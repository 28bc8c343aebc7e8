/** A node that is told to end under load, again and again: it drains, in time, and no client can say that it did not. */
import { setTimeout as sleep } from "node:timers/promises";
import { errorsOf } from "../journeys/rolling.ts";
import { openScene, type Scene } from "../journeys/scene.ts";
import { createTenant, eventually, type Relay } from "../support/relay.ts";
import type { Load } from "../support/sessions.ts";
import { HANG } from "../support/upstream.ts";
import { createDice } from "./dice.ts";

export type Stops = Readonly<{ stops: number; processes: number; seed: number; program?: string }>;
export type Stop = Pick<Stops, "processes" | "program">;

/** What a node may take to end. */
const BOUND_MS = 30_000;
/** When it is not waited for any more. */
const GIVEN_UP_MS = 45_000;
const SLOW_CLIENTS = 6;

/**
 * Each time some clients are in the middle of a message, and others on their way. Those are to get their 250; nobody else
 * is to be told more than 421, and that between two messages.
 */
export async function stopUnderLoad({ stops, processes, seed, program }: Stops) {
  const dice = createDice(seed);
  const pauses = createDice(seed + 1);
  // So that some deliveries are under way.
  const stage = await openStage({ processes, ...(program && { program }) }, () => sleep(pauses.below(60), undefined));
  const { hurried, slow } = stage;
  for (let n = 1; n <= stops; n++) {
    await hurried.more(10 + dice.below(50), "accepted");
    await stage.middle();
    await sleep(dice.below(40));
    await stage.end(async () => {
      await sleep(dice.below(500));
      stage.goOn();
    });
    await stage.begin();
    if (n % 5 === 0) console.log(`  ${n} of ${stops} stops`);
  }
  await hurried.more(20, "accepted");
  stage.goOn("for good");
  await Promise.all([hurried.stop(), slow.stop()]);
  const served = [...hurried.seen, ...slow.seen].filter(({ begun, knowledge }) => begun || knowledge !== "unsent");
  return judge(stage, errorsOf(served));
}

/** Clients that never finish, and an upstream that never answers: they are cut off, and nothing of theirs is stored. */
export async function stopWhileAllHang(told: Stop) {
  let hanging = false;
  const stage = await openStage(told, async () => (hanging ? HANG : undefined));
  const { hurried, slow } = stage;
  await hurried.more(40, "accepted");
  await stage.middle();
  hanging = true;
  await hurried.more(40, "accepted");
  await stage.end(async () => {});
  hanging = false;
  stage.goOn("for good");
  await stage.begin();
  await hurried.more(20, "accepted");
  await Promise.all([hurried.stop(), slow.stop()]);
  const unfinished = slow.seen.filter(({ begun }) => begun).slice(0, SLOW_CLIENTS);
  return judge(
    stage,
    unfinished
      .filter(({ knowledge }) => knowledge !== "unsent")
      .map(({ marker, knowledge, reply }) => `${marker} was never finished, but ${knowledge}: ${reply}`),
  );
}

type Stage = Awaited<ReturnType<typeof openStage>>;

async function openStage({ processes, program }: Stop, end: () => Promise<typeof HANG | undefined>) {
  const scene = await openScene({
    script: { end },
    env: { POSTMETER_PROCESSES: String(processes) },
    ...(program && { program }),
  });
  const tenant = await createTenant(scene.relay, { limit: null });
  const middle = createMiddle();
  let relay: Relay | undefined = scene.relay;
  const ports = () => (relay === undefined ? [] : [relay.ports.submission]);
  const common = { ports, units: (n: number) => 1 + (n % 3), pauseMs: 5 };
  const hurried: Load = scene.load(tenant, { ...common, sessions: 10 });
  const slow: Load = scene.load(tenant, { ...common, sessions: SLOW_CLIENTS, halfway: middle.wait });
  const faults: string[] = [];
  const tookMs: number[] = [];
  let finished = 0;
  return {
    scene,
    hurried,
    slow,
    faults,
    tookMs,
    goOn: middle.goOn,
    /** All slow clients are in the middle of a message. */
    middle: () => eventually(async () => middle.waiting() === SLOW_CLIENTS, "all slow clients have begun a message"),
    /** `told`: when the node has heard it. */
    async end(told: () => Promise<void>): Promise<void> {
      const old = relay as Relay;
      relay = undefined;
      const startedAtMs = performance.now();
      const ended = old.stop("SIGTERM");
      await Promise.race([ended, eventually(async () => heard(old), "the node has heard that it is to end")]);
      await told();
      const code = await Promise.race([ended, sleep(GIVEN_UP_MS, "nothing, for too long,", { ref: false })]);
      tookMs.push(performance.now() - startedAtMs);
      await old.stop("SIGKILL");
      finished = slow.seen.filter(({ knowledge }) => knowledge === "accepted").length;
      faults.push(...(await faultsOfEnd(scene, code, tookMs.at(-1) as number)));
    },
    async begin(): Promise<void> {
      relay = await scene.startAgain();
    },
    relay: () => relay as Relay,
    /** Messages that were in the middle when their node was told, and had their 250. */
    finished: () => finished,
  };
}

const heard = ({ log }: Relay) => log.some(({ event }) => event === "postmeter.stopping");

async function faultsOfEnd({ database }: Scene, code: unknown, tookMs: number): Promise<string[]> {
  const { rows } = await database.pool.query("select from queue where owner is not null");
  return [
    ...(code === 0 ? [] : [`the node ended with ${code}`]),
    ...(tookMs < BOUND_MS ? [] : [`the node took ${Math.round(tookMs / 1000)} s to end`]),
    ...(rows.length === 0 ? [] : [`${rows.length} messages stayed in its hands`]),
  ];
}

/** The middle of a message, where clients wait until they are told to go on. */
function createMiddle() {
  let gate = Promise.withResolvers<void>();
  let waiting = 0;
  let open = false;
  return {
    waiting: () => waiting,
    async wait(): Promise<void> {
      if (open) return;
      waiting += 1;
      await gate.promise;
    },
    goOn(forGood?: "for good"): void {
      open ||= forGood !== undefined;
      waiting = 0;
      gate.resolve();
      gate = Promise.withResolvers();
    },
  };
}

async function judge({ scene, hurried, slow, faults, tookMs, finished, relay }: Stage, more: readonly string[]) {
  if (faults.some((text) => text.includes("in its hands"))) await scene.letLeasesLapse();
  const audit = await scene.check({ through: relay() });
  const seen = [...hurried.seen, ...slow.seen];
  const known = (what: string) => seen.filter(({ knowledge }) => knowledge === what).length;
  return {
    faults: [
      ...faults,
      ...more,
      ...audit.faults,
      ...(audit.duplicates === 0 ? [] : [`${audit.duplicates} copies came twice`]),
      ...(audit.inDoubt === 0 ? [] : [`${audit.inDoubt} messages are stored, and nobody was told`]),
    ],
    figures: {
      stops: tookMs.length,
      acknowledged: known("accepted"),
      "of these in the middle when it was told": finished(),
      "told 421 between two": seen.filter(({ begun, reply }) => !begun && reply.startsWith("421")).length,
      "cut off in the middle": seen.filter(({ begun, knowledge }) => begun && knowledge === "unsent").length,
      unanswered: known("unknown"),
      duplicates: audit.duplicates,
      "longest end in ms": Math.round(Math.max(...tookMs)),
    },
  };
}
