/**
 * POSTMETER_PROCESSES > 1: a primary that serves nobody, and workers that share its ports. The first worker has all roles,
 * the others submission and delivery only.
 *
 * Invariant: a worker that dies is started again, at once the first time, then with growing waits; the ports stay what they
 * were. When the primary ends, by whatever, its workers end.
 * On failure: a worker that does not come up at the start ends the program; later it is tried again for ever.
 */
import cluster, { type Worker } from "node:cluster";
import { setTimeout as sleep } from "node:timers/promises";
import { baseUrl, type Config } from "./platform/config.ts";
import { lockDataDir } from "./platform/data-lock.ts";
import { startEmbedded } from "./platform/embedded.ts";
import { Fault } from "./platform/errors.ts";
import type { Log } from "./platform/log.ts";
import { keepCounts, type Snapshot } from "./platform/metrics-sum.ts";
import type { Ports, Role } from "./serve.ts";
import type { FromSibling, Order, Running, ToSibling } from "./sibling.ts";

/** A place that always has a worker, or will have one again. `free`: it listens on a port that the system chose for it. */
type Seat = {
  readonly number: number;
  worker: Worker | undefined;
  free: boolean;
  snapshot: Snapshot | undefined;
  failures: number;
};

type Ready = Extract<FromSibling, { kind: "ready" }>;

const FIRST_PAUSE_MS = 100;
const LONGEST_PAUSE_MS = 30_000;
/** One that has lived that long has not failed to come up. */
const STEADY_MS = 60_000;
const COUNT_MS = 1_000;

export async function startProcesses(config: Config, roles: ReadonlySet<Role>, log: Log): Promise<Running> {
  await using opened = new AsyncDisposableStack();
  const databaseUrl = config.databaseUrl || (await embedded(config, log, opened));
  const fleet = opened.use(new Fleet({ ...config, databaseUrl }, roles, log));
  const { ports, greeting } = await fleet.start();
  const stack = opened.move();
  return {
    ports,
    greeting,
    reload: async () => fleet.tellAll({ kind: "reload" }),
    [Symbol.asyncDispose]: () => stack.disposeAsync(),
  };
}

async function embedded(config: Config, log: Log, opened: AsyncDisposableStack): Promise<string> {
  opened.use(await lockDataDir(config.dataDir));
  return opened.use(await startEmbedded(config.dataDir, log)).url;
}

class Fleet implements AsyncDisposable {
  readonly #config: Config;
  readonly #roles: ReadonlySet<Role>;
  readonly #log: Log;
  readonly #seats: readonly Seat[];
  readonly #counts = createCounts();
  #ports: Ports | undefined;
  readonly #ending = new AbortController();

  constructor(config: Config, roles: ReadonlySet<Role>, log: Log) {
    this.#config = config;
    this.#roles = roles;
    this.#log = log;
    const shared = this.#rolesOf(1).length > 0;
    if (!shared) log.warn({ event: "process.alone" }, "POSTMETER_PROCESSES: the roles of this node run in one process");
    this.#seats = Array.from({ length: shared ? config.processes : 1 }, (_, number) => {
      return { number, worker: undefined, free: false, snapshot: undefined, failures: 0 };
    });
  }

  /** The first worker alone: it migrates, makes what is missing, and finds the ports for all. */
  async start(): Promise<Ready> {
    const [first, ...others] = this.#seats as [Seat, ...Seat[]];
    const ready = await this.#fill(first);
    this.#ports = ready.ports;
    await Promise.all(others.map((seat) => this.#fill(seat)));
    for (const seat of this.#seats) this.#watch(seat);
    return ready;
  }

  tellAll(message: ToSibling): void {
    for (const { worker } of this.#seats) if (worker !== undefined) tell(worker, message);
  }

  /** Each drains by itself, and cuts its own drain. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#ending.abort();
    const alive = this.#seats.flatMap(({ worker }) => (worker === undefined || worker.isDead() ? [] : [worker]));
    const codes = alive.map((worker) => new Promise<number>((resolve) => worker.once("exit", resolve)));
    this.tellAll({ kind: "stop" });
    const failed = (await Promise.all(codes)).filter((code) => code !== 0);
    if (failed.length > 0) throw new Fault("unavailable", "A worker process did not end as it should.");
  }

  /** Resolves when it listens. */
  #fill(seat: Seat): Promise<Ready> {
    const worker = cluster.fork();
    seat.worker = worker;
    const { promise, resolve, reject } = Promise.withResolvers<Ready>();
    worker.once("exit", () => reject(new Fault("unavailable", "A worker process did not start.")));
    worker.on("error", () => {}); // a message to one that is gone: its exit follows
    worker.on("message", (message: FromSibling) => {
      if (message.kind === "here") tell(worker, this.#orderFor(seat));
      else if (message.kind === "ready") resolve(message);
      else if (message.kind === "count") void this.#countFor(seat, message);
      else this.#counts.counted(message.id, seat, message.snapshot);
    });
    return promise;
  }

  #watch(seat: Seat): void {
    const worker = seat.worker as Worker;
    const since = performance.now();
    const died = (code: number | null, signal: string | null) => {
      if (this.#ending.signal.aborted) return;
      if (performance.now() - since > STEADY_MS) seat.failures = 0;
      void this.#replace(seat, { code, signal });
    };
    if (worker.isDead()) died(worker.process.exitCode, worker.process.signalCode);
    else worker.once("exit", died);
  }

  async #replace(seat: Seat, end: { code: number | null; signal: string | null }): Promise<void> {
    seat.worker = undefined;
    seat.free = false;
    this.#counts.ended(seat);
    const pauseMs = Math.min(FIRST_PAUSE_MS * 4 ** seat.failures, LONGEST_PAUSE_MS);
    seat.failures += 1;
    this.#log.error({ event: "process.died", process: seat.number, ...end, again_in_ms: pauseMs });
    const { signal: ending } = this.#ending;
    await sleep(pauseMs, undefined, { signal: ending }).catch(() => {});
    if (ending.aborted) return;
    this.#fill(seat).then(
      () => this.#log.info({ event: "process.back", process: seat.number }),
      () => {},
    );
    this.#watch(seat);
  }

  #rolesOf(number: number): Role[] {
    return [...this.#roles].filter((role) => number === 0 || role === "submission" || role === "delivery");
  }

  /**
   * Port 0 means one and the same port to all workers that ask for it while one of them holds it; else the number that it
   * had. Only the first worker holds that of the API.
   */
  #orderFor(seat: Seat): Order {
    const { databaseUrl, httpHost, publicUrl } = this.#config;
    const ports = this.#ports;
    const held = this.#seats.some((other) => other !== seat && other.free && other.worker?.isConnected());
    seat.free = this.#config.submissionPort === 0 && (ports === undefined || held);
    const guessed = publicUrl === baseUrl(httpHost, 0);
    const set: Partial<Config> = {
      databaseUrl,
      ...(ports?.http && { httpPort: ports.http, publicUrl: guessed ? baseUrl(httpHost, ports.http) : publicUrl }),
      ...(ports?.submission && !seat.free && { submissionPort: ports.submission }),
    };
    return { kind: "start", first: seat.number === 0, roles: this.#rolesOf(seat.number), set };
  }

  /** The counts of all but the one that asks. */
  async #countFor(asking: Seat, { id, snapshot }: Extract<FromSibling, { snapshot: Snapshot }>): Promise<void> {
    asking.snapshot = snapshot;
    const others = this.#seats.filter((seat) => seat !== asking && seat.worker?.isConnected());
    const snapshots = await this.#counts.collect(others);
    if (asking.worker !== undefined) tell(asking.worker, { kind: "counted", id, snapshots });
  }
}

function tell(worker: Worker, message: ToSibling): void {
  if (worker.isConnected()) worker.send(message, undefined, () => {});
}

/** The counts of workers, and what remains of those that have ended, as they were when they were last asked for. */
function createCounts() {
  const open = new Map<number, (seat: Seat) => void>();
  let departed: Promise<Snapshot> = Promise.resolve([]);
  let last = 0;
  return {
    counted(id: number, seat: Seat, snapshot: Snapshot): void {
      seat.snapshot = snapshot;
      open.get(id)?.(seat);
    },
    ended(seat: Seat): void {
      const { snapshot } = seat;
      seat.snapshot = undefined;
      if (snapshot !== undefined) departed = departed.then((before) => keepCounts([before, snapshot]));
    },
    async collect(seats: readonly Seat[]): Promise<Snapshot[]> {
      const id = ++last;
      const missing = new Set(seats);
      const { promise: all, resolve } = Promise.withResolvers<void>();
      open.set(id, (seat) => {
        missing.delete(seat);
        if (missing.size === 0) resolve();
      });
      for (const { worker } of seats) if (worker !== undefined) tell(worker, { kind: "count", id });
      if (missing.size > 0) await Promise.race([all, sleep(COUNT_MS, undefined, { ref: false })]);
      open.delete(id);
      return [await departed, ...seats.flatMap(({ snapshot }) => (snapshot === undefined ? [] : [snapshot]))];
    },
  };
}
