/**
 * The way to Redis or Valkey. What stands in it is a copy that may be lost at any moment.
 *
 * Invariant: a command is sent once: nothing is queued while the connection is away, nothing is repeated after it comes back
 * (a repeated script would count twice).
 * On failure: a command fails within a second, at once when there is no connection; reconnecting goes on by itself.
 */
import { Redis } from "ioredis";
import { Fault } from "./errors.ts";
import type { Log } from "./log.ts";

const COMMAND_TIMEOUT_MS = 1000;
const MAX_RECONNECT_WAIT_MS = 2000;

/** `url`: redis[s]://[user:password@]host[:port][/db], or redis+sentinel://[:password@]host:port,host:port/<name of the master>. */
export function openRedis(url: string, log: Log): Redis {
  const redis = new Redis({
    ...target(url),
    autoResendUnfulfilledCommands: false,
    enableOfflineQueue: false,
    maxRetriesPerRequest: 0,
    commandTimeout: COMMAND_TIMEOUT_MS,
    connectTimeout: 2000,
    keepAlive: 10_000,
    connectionName: "postmeter",
    retryStrategy: (times) => Math.min(50 * 2 ** Math.min(times, 10), MAX_RECONNECT_WAIT_MS),
  });
  let lost = false;
  redis.on("error", (error: Error) => {
    if (!lost) log.warn({ event: "redis.lost", error: error.message });
    lost = true;
  });
  redis.on("ready", () => {
    if (lost) log.info({ event: "redis.back" });
    lost = false;
  });
  return redis;
}

type Target = { host: string; port: number } | { sentinels: { host: string; port: number }[]; name: string };
type Access = { db?: number; username?: string; password?: string; tls?: object };

function target(text: string): Target & Access {
  const sentinel = /^redis\+sentinel:\/\/(?:([^@/]*)@)?([^/]+)\/([^/]+)$/.exec(text);
  if (sentinel !== null) {
    const [, access = "", hosts = "", name = ""] = sentinel;
    const [username, password] = access.split(":").map(decodeURIComponent);
    const sentinels = hosts
      .split(",")
      .map((host) => ({ host: host.split(":")[0]!, port: Number(host.split(":")[1] ?? 26379) }));
    return { sentinels, name, ...(username ? { username } : {}), ...(password ? { password } : {}) };
  }
  const url = new URL(text);
  return {
    host: url.hostname.replace(/^\[|\]$/g, "") || "127.0.0.1",
    port: Number(url.port || 6379),
    db: Number(url.pathname.slice(1) || 0),
    ...(url.username ? { username: decodeURIComponent(url.username) } : {}),
    ...(url.password ? { password: decodeURIComponent(url.password) } : {}),
    ...(url.protocol === "rediss:" ? { tls: {} } : {}),
  };
}

/** Waits until commands can be sent; false when that takes longer. */
export async function redisReady(redis: Redis, timeoutMs: number): Promise<boolean> {
  if (redis.status === "ready") return true;
  const { promise, resolve } = Promise.withResolvers<boolean>();
  const onReady = () => resolve(true);
  const timer = setTimeout(() => resolve(false), timeoutMs);
  redis.once("ready", onReady);
  try {
    return await promise;
  } finally {
    clearTimeout(timer);
    redis.off("ready", onReady);
  }
}

/** A Redis that evicts keys forgets counters of its own accord. One that can't be reached, or hides its settings, passes. */
export async function checkRedis(redis: Redis): Promise<void> {
  let answer: unknown;
  try {
    answer = await redis.call("CONFIG", "GET", "maxmemory-policy");
  } catch {
    return; // CONFIG may be forbidden by a provider, or the server away
  }
  const policy = Array.isArray(answer) ? answer[1] : (answer as Record<string, unknown> | null)?.["maxmemory-policy"];
  if (policy === undefined || policy === "noeviction") return;
  throw new Fault(
    "unavailable",
    `Redis may drop quota counters: maxmemory-policy is ${String(policy)}, set it to noeviction.`,
  );
}
