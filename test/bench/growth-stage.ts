/** Where the subjects of the growth bench play: relays of their own beside one generator and one sink. */
import { chmodSync, mkdtempSync, rmSync } from "node:fs";
import { join } from "node:path";
import pg from "pg";
import { type MasterId, parseId, type SubaccountId } from "../../src/platform/ids.ts";
import type { Generator } from "./generator.ts";
import type { GrowthOptions } from "./growth-options.ts";
import { type Relay, startRelay } from "./relay.ts";
import { type Round, runRound } from "./round.ts";
import type { Sink } from "./sink.ts";
import { median } from "./statistics.ts";
import type { Login } from "./target.ts";

export type Stage = Readonly<{
  relay: Relay;
  pool: pg.Pool;
  masterId: MasterId;
  subaccountIds: readonly SubaccountId[];
}> &
  AsyncDisposable;

export type Ground = Readonly<{
  options: GrowthOptions;
  sink: Sink;
  generator: Generator;
  say(text: string): void; // progress
  nextRun(): number;
  open(order?: Readonly<{ subaccounts?: number; processes?: number }>): Promise<Stage>;
}>;

/** Room for bulk loads between checkpoints, and what a reader of a large table would be given. */
const postgres = ["max_wal_size=8GB", "maintenance_work_mem=512MB"];

/** The sink knows each run for as long as it lives, whichever subject it was of. */
let run = 0;

export function createGround(
  options: GrowthOptions,
  sink: Sink,
  generator: Generator,
  say: (text: string) => void,
): Ground {
  return {
    options,
    sink,
    generator,
    say,
    nextRun: () => ++run,
    open: (order = {}) => openStage(options.disk, sink.port, order),
  };
}

async function openStage(
  disk: string,
  sinkPort: number,
  { subaccounts = 1, processes = 1 }: Readonly<{ subaccounts?: number; processes?: number }>,
): Promise<Stage> {
  await using opened = new AsyncDisposableStack();
  const folder = mkdtempSync(join(disk, "postmeter-growth-"));
  chmodSync(folder, 0o755); // PostgreSQL does not run as root
  opened.defer(() => rmSync(folder, { recursive: true, force: true, maxRetries: 3 }));
  const order = {
    name: "relay",
    folder,
    sinkPort,
    tls: ["off"],
    processes,
    subaccounts,
    preload: null,
    profile: null,
    postgres,
  } as const;
  const relay = await startRelay(order);
  if ("why" in relay) throw new Error(relay.why);
  opened.use(relay);
  const pool = new pg.Pool({ connectionString: relay.databaseUrl, max: 4 });
  pool.on("error", () => {});
  opened.defer(() => pool.end());
  const subaccountIds = relay.accounts.subaccounts.map((shown) => parseId("sub", shown)!);
  const { rows } = await pool.query<{ master_id: MasterId }>("select master_id from subaccount where id = $1", [
    subaccountIds[0],
  ]);
  const all = opened.move();
  return {
    relay,
    pool,
    masterId: rows[0]!.master_id,
    subaccountIds,
    [Symbol.asyncDispose]: () => all.disposeAsync(),
  };
}

/** `nth`: of the stage's subaccounts. */
export async function changeSubaccount({ relay }: Stage, nth: number, members: object): Promise<void> {
  const response = await fetch(`${relay.api.url}/subaccounts/${relay.accounts.subaccounts[nth]}`, {
    method: "PATCH",
    headers: { authorization: `Bearer ${relay.accounts.masterKey}`, "content-type": "application/merge-patch+json" },
    body: JSON.stringify(members),
  });
  if (!response.ok) throw new Error(`the subaccount was not changed: ${response.status} ${await response.text()}`);
}

export type Side = Readonly<{ name: string; stage: Stage; logins?: readonly Login[]; sessions?: number }>;
export type Sides = ReadonlyMap<string, readonly Round[]>;

/** The same load on every side in turn, so that the machine's moods meet all alike; a first round of each is thrown away. */
export async function alternate(ground: Ground, sides: readonly Side[]): Promise<Sides> {
  const { rounds } = ground.options;
  const all = new Map<string, Round[]>(sides.map(({ name }) => [name, []]));
  for (let n = -1; n < rounds; n++) {
    for (let k = 0; k < sides.length; k++) {
      const side = sides[(n + 1 + k) % sides.length]!;
      const round = await oneRound(ground, side);
      if (n >= 0) all.get(side.name)!.push(round);
    }
  }
  return all;
}

export async function oneRound(ground: Ground, { stage, logins, sessions }: Side): Promise<Round> {
  const { sink, generator, options } = ground;
  const bench = { sink, generator, tls: "off", pipelining: false, patienceMs: 30_000 } as const;
  const target = logins === undefined ? stage.relay : { ...stage.relay, logins };
  const scenario = { sizeBytes: 4096, sessions: sessions ?? options.sessions, keep: true };
  return await runRound(bench, target, scenario, ground.nextRun(), options.seconds);
}

export function middleOf(rounds: readonly Round[] | undefined, pick: (round: Round) => number): number {
  return median((rounds ?? []).map(pick));
}

export function problemsOf(sides: Sides): string[] {
  return [...sides].flatMap(([name, rounds]) =>
    rounds.flatMap((round) => round.problems.map((problem) => `${name}: ${problem}`)),
  );
}

/** What the relay's own books say is wrong with them; nothing when all agrees. */
export async function bookProblems(name: string, stage: Stage): Promise<string[]> {
  const wrong = await stage.relay.verify();
  return wrong === null ? [] : [`${name}: ${wrong}`];
}
