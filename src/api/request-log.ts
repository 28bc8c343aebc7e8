/** One line per request: never its query, its body, or a key. */
import { randomUUID } from "node:crypto";
import type { MiddlewareHandler } from "hono";
import type { Deps } from "./deps.ts";
import type { Env } from "./mount.ts";

export function logRequests({ log, metrics }: Pick<Deps, "log" | "metrics">): MiddlewareHandler<Env> {
  return async (c, next) => {
    const started = performance.now();
    const instance = `urn:uuid:${randomUUID()}`;
    c.set("instance", instance);
    await next();
    const { status } = c.res;
    metrics.apiRequests.inc({ status: `${Math.floor(status / 100)}xx` });
    log.info({
      event: "api.request",
      method: c.req.method,
      route: c.get("route") ?? "none",
      status,
      ms: Math.round((performance.now() - started) * 10) / 10,
      principal: c.get("caller") ?? null,
      account: c.get("account") ?? null,
      instance,
    });
  };
}
