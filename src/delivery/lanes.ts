/**
 * The ways mail leaves: one pool per upstream, and with direct delivery one per recipient domain, made when needed and
 * forgotten when quiet. A message for many domains goes in as many parcels.
 */
import { domainOf } from "../mail/address.ts";
import type { Task } from "../spool/message.ts";
import { type Breaker, createBreaker } from "./breaker.ts";
import { type Capture, openMailbox } from "./capture.ts";
import type { TaskRecipient } from "./envelope.ts";
import { type Dialing, openMx, openSmtp } from "./open-route.ts";
import type { Failure } from "./outcome.ts";
import { type Held, type Kind, kindOf, type Parcel } from "./parcel.ts";
import { createPool, type Open, type Pool, type PoolOptions } from "./pool.ts";
import type { Route } from "./route.ts";
import { openSimulator } from "./simulator.ts";
import { createSlots } from "./slots.ts";

export type LaneState = Readonly<{ name: string; waiting: number; connections: number; open: boolean }>;

export type Lanes = Readonly<{
  /** The name of the route that a task takes: the one it is bound to, while there is such a one. */
  routeOf(task: Task): string;
  send(held: Held): void;
  /** Whether fresh mail may come: the first route, which it takes, is not left alone. */
  admits(): boolean;
  states(): LaneState[];
  stop(): void;
  destroy(failure: Failure): void;
}>;

export type LanesOptions = Readonly<{
  /** The first one is for all that is not bound to another. */
  routes: readonly [Route, ...Route[]];
  dialing: Dialing;
  capture: Capture;
  breaker: Readonly<{ failures: number; firstPauseMs: number; longestPauseMs: number }>;
  breakerChanged(name: string, open: boolean): void;
  /** Connections of direct delivery in all. */
  mxConnections: number;
  /** Whether a domain of direct delivery holds so much already that more of it must wait in the spool. */
  crowded(kind: Kind, load: number): boolean;
}> &
  Pick<PoolOptions, "begin" | "read" | "finished" | "giveBack" | "recipients">;

const CROWDED_MS = 30_000;
const MANY = 1_000;

export function createLanes(options: LanesOptions): Lanes {
  const routes = new Map(options.routes.map((route) => [route.name, route]));
  const first = options.routes[0];
  const pools = new Map<string, Pool>();
  const mxSlots = createSlots(options.mxConnections);
  const unbounded = createSlots(Number.POSITIVE_INFINITY);

  function makePool(name: string, route: Route, domain: string): Pool {
    const quiet = () => {
      if (route.kind === "mx" && !pool.breaker.isOpen()) pools.delete(name);
    };
    const pool: Pool = createPool({
      ...options,
      connections: route.connections,
      messagesPerConnection: "messagesPerConnection" in route ? route.messagesPerConnection : Number.POSITIVE_INFINITY,
      overlap: route.kind === "smtp",
      open: opener(route, domain, options),
      breaker: makeBreaker(name),
      slots: route.kind === "mx" ? mxSlots : unbounded,
      quiet,
    });
    if (pools.size >= MANY) prune();
    pools.set(name, pool);
    return pool;
  }

  /** Domains that could not be reached, and are not asked for any more. */
  function prune(): void {
    for (const [name, pool] of pools) {
      const idle = pool.waiting() + pool.connections() === 0 && pool.breaker.pauseMs() === 0;
      if (!idle || name === first.name) continue;
      if (pool.breaker.isOpen()) options.breakerChanged(name, false);
      pools.delete(name);
    }
  }

  function makeBreaker(name: string): Breaker {
    const changed = (open: boolean) => options.breakerChanged(name, open);
    return createBreaker({ ...options.breaker, now: () => performance.now(), changed });
  }

  function poolFor(route: Route, domain: string): Pool {
    const name = route.kind === "mx" ? `mx:${domain}` : route.name;
    return pools.get(name) ?? makePool(name, route, domain);
  }

  function add(route: Route, domain: string, parcel: Parcel): void {
    const pool = poolFor(route, domain);
    const kind = kindOf(parcel);
    if (route.kind === "mx" && options.crowded(kind, pool.load(kind))) options.giveBack([parcel], CROWDED_MS);
    else pool.add(parcel);
  }

  return {
    routeOf: (task) => (task.route !== null && routes.has(task.route) ? task.route : first.name),
    send(held) {
      const route = routes.get(held.route) ?? first;
      const parcel = (recipients: readonly TaskRecipient[]): Parcel => ({
        held,
        recipients,
        stale: false,
        content: null,
      });
      if (route.kind !== "mx") return add(route, "", parcel(held.task.recipients));
      const byDomain = Map.groupBy(held.task.recipients, ({ address }) => domainOf(address));
      for (const [domain, recipients] of byDomain) add(route, domain, parcel(recipients));
    },
    admits: () => pools.get(first.name)?.breaker.isOpen() !== true,
    states: () =>
      [...pools].map(([name, pool]) => ({
        name,
        waiting: pool.waiting(),
        connections: pool.connections(),
        open: pool.breaker.isOpen(),
      })),
    stop: () => {
      for (const pool of [...pools.values()]) pool.stop();
    },
    destroy: (failure) => {
      for (const pool of [...pools.values()]) pool.destroy(failure);
    },
  };
}

function opener(route: Route, domain: string, { dialing, capture }: LanesOptions): Open {
  switch (route.kind) {
    case "smtp":
      return openSmtp(route, dialing);
    case "mx":
      return openMx(domain, route, dialing);
    case "capture":
      return async () => openMailbox(capture);
    case "sandbox":
      return async () => openSimulator(capture);
  }
}
