/** Masters of several calendars that send, their limits reached, shortly before their periods change. */
import { changeMaster } from "../../src/accounts/change-master.ts";
import { createClock } from "../../src/platform/clock.ts";
import { parseId } from "../../src/platform/ids.ts";
import { openScene, type Scene } from "../journeys/scene.ts";
import { mutateProgram } from "../support/mutant.ts";
import { createSubaccount, createTenant, type Relay, type Tenant } from "../support/relay.ts";
import { acceptedUnits, type Load } from "../support/sessions.ts";
import { operator } from "../support/tenants.ts";
import type { Moment, Reckoned } from "./time-zones.ts";

/** Units of the subaccount that has a limit. */
export const LIMIT = 40;
/** Messages of a subaccount after which it is believed that its limit does not open again. */
const MOST = 1500;
/** Before the change, for all that has to be ready by then; on a slow machine it takes a few tries. */
const FIRST_AHEAD_MS = 6_000;
const MORE_FOR_A_NODE_MS = 1_000;
const MARGIN_MS = 300;
const MARGIN_TO_HOLD_MS = 2_000;
const HOUR_MS = 3_600_000;

export type Change = Readonly<{
  moment: Moment;
  /** The first node's own clock agrees with Postgres's. */
  program?: string;
  /** Programs of further nodes. */
  others?: readonly string[];
  /** How long the load goes on after the change, at least: a node may remember a refusal for a second. */
  goesOnMs?: number;
  /** The counters are locked over the change, as by an account that is being changed: messages wait for them. */
  held?: boolean;
  /** Before anything is sent. */
  prepare?: (scene: Scene) => Promise<unknown>;
}>;

export type Account = Readonly<{ calendar: Reckoned; limited: Tenant; free: Tenant }>;
type Loads = Readonly<{ limited: Load; free: Load }>;
export type Stage = Readonly<{
  scene: Scene;
  turn: Date;
  nodes: readonly Relay[];
  accounts: readonly Account[];
  loads: readonly Loads[];
}>;

/** A node whose own clock is that far ahead, and which does not ask Postgres's whether it agrees, unless told. */
export function nodeAhead(ms: number, asks: "asks" | "does not ask" = "does not ask"): string {
  const clock = {
    from: "const clock = createClock(config.clockOffsetMs);",
    to: `const clock = { ...createClock(config.clockOffsetMs), now: () => new Date(Date.now() + config.clockOffsetMs + ${ms}) };`,
  };
  const question = { from: "  await checkClock(database.db, clock);\n", to: "" };
  return mutateProgram("src/house.ts", clock, ...(asks === "asks" ? [] : [question]));
}

export const nowOf = ({ database }: Scene) => Date.now() + database.clockOffsetMs;

export async function openBeforeTurn(change: Change): Promise<Stage> {
  const turnMs = Date.parse(change.moment.turn);
  const nodesMore = change.others?.length ?? 0;
  const marginMs = change.held ? MARGIN_TO_HOLD_MS : MARGIN_MS;
  for (let aheadMs = FIRST_AHEAD_MS + nodesMore * MORE_FOR_A_NODE_MS + marginMs; ; aheadMs *= 2) {
    const clockOffsetMs = Math.floor((turnMs - Date.now() - aheadMs) / 1000) * 1000;
    const { program } = change;
    const env = { POSTMETER_STATEMENT_GRACE: "1m" };
    const scene = await openScene({ clockOffsetMs, env, ...(program === undefined ? {} : { program }) });
    const stage = await startLoads(scene, change);
    if (nowOf(scene) < turnMs - marginMs) return stage;
    console.log(`  not ready ${aheadMs / 1000} s before the change: once more`);
    await Promise.all(stage.loads.flatMap(({ limited, free }) => [limited.stop(), free.stop()]));
    await scene.end();
  }
}

/** Accounts that send, and have reached their limits. */
async function startLoads(scene: Scene, { moment, prepare, others = [] }: Change): Promise<Stage> {
  await prepare?.(scene);
  const [accounts, started] = await Promise.all([
    Promise.all(moment.calendars.map((calendar) => openAccount(scene, calendar))),
    Promise.all(others.map((program) => scene.startAgain({ program }))),
  ]);
  const nodes = [scene.relay, ...started];
  const ports = () => nodes.map(({ ports }) => ports.submission);
  const loads = accounts.map(({ limited, free }) => ({
    limited: scene.load(limited, { ports, sessions: 4, units: (n) => 1 + (n % 2), pauseMs: 20 }),
    free: scene.load(free, { ports, sessions: 4, units: (n) => 1 + (n % 3), pauseMs: 30 }),
  }));
  await Promise.all(loads.map(({ limited }) => untilUsed(limited, LIMIT)));
  return { scene, turn: new Date(moment.turn), nodes, accounts, loads };
}

async function openAccount(scene: Scene, calendar: Reckoned): Promise<Account> {
  const { anchorDay, timeZone, moves } = calendar;
  const master = { anchor_day: anchorDay, time_zone: timeZone };
  const limited = await createTenant(scene.relay, { limit: LIMIT, master });
  const free = { ...limited, ...(await createSubaccount(scene.relay, limited.masterKey, null)) };
  // Long enough before: within a minute of a period's end it would wait for the next one.
  const before = createClock(scene.database.clockOffsetMs - HOUR_MS);
  if (moves !== undefined)
    await changeMaster(scene.database.db, operator, parseId("mas", limited.masterId), moves, {}, before);
  return { calendar, limited, free };
}

/** By the book of its clients; and some more messages, which must be refused. */
export async function untilUsed(load: Load, units: number): Promise<void> {
  for (let n = 0; n < MOST && acceptedUnits(load.seen) < units; n += 5) await load.more(5);
  await load.more(10);
}
