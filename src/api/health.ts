/**
 * Is it alive, may it be given work, what does it count. Labels name no tenant.
 *
 * /metrics on the API's own port is for the operator's key or for this machine; on a port of its own it is open, since
 * who reaches that port is the deployment's choice.
 */
import { Hono } from "hono";
import type { Deps } from "./deps.ts";
import type { Env } from "./mount.ts";

export type Health = Pick<Deps, "ready" | "metrics" | "scrape"> & Readonly<{ draining(): boolean }>;

/** Adds /healthz and /readyz. */
export function mountHealth(app: Hono<Env>, { ready, draining }: Health): void {
  app.get("/healthz", (c) => {
    c.set("route", "/healthz");
    return c.json({ status: "ok" });
  });
  app.get("/readyz", async (c) => {
    c.set("route", "/readyz");
    const problems = draining() ? ["draining"] : await ready().catch(() => ["the checks failed"]);
    return c.json(
      { status: problems.length === 0 ? "ok" : "unavailable", problems },
      problems.length === 0 ? 200 : 503,
    );
  });
}

export async function metricsAnswer({ metrics, scrape }: Pick<Deps, "metrics" | "scrape">): Promise<Response> {
  const { registry } = metrics;
  return new Response(await (scrape === undefined ? registry.metrics() : scrape()), {
    headers: { "Content-Type": registry.contentType },
  });
}

/** The application of a metrics port of its own; not `open`: only what anybody may know. */
export function createMetricsApp(health: Health, open = true): Hono<Env> {
  const app = new Hono<Env>();
  mountHealth(app, health);
  if (open) app.get("/metrics", () => metricsAnswer(health));
  app.onError(() => new Response("failed\n", { status: 500 }));
  return app;
}
