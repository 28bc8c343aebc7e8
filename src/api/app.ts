/** The HTTP door as one application, without a socket: requests in, answers out. */

import { readFileSync } from "node:fs";
import { OpenAPIHono } from "@hono/zod-openapi";
import type { MiddlewareHandler } from "hono";
import type { Deps } from "./deps.ts";
import type { Endpoint } from "./endpoint.ts";
import { createEndpoints } from "./endpoints.ts";
import { metricsAnswer, mountHealth } from "./health.ts";
import { createDoorkeeper, type Doorkeeper } from "./identify.ts";
import { mountLogos } from "./logo.ts";
import { type Env, mount } from "./mount.ts";
import { prefersPage } from "./negotiate.ts";
import { openApiDocument, registerSecurity } from "./openapi.ts";
import { mountPages } from "./pages.ts";
import { answerProblem, Problem, problemOf } from "./problem.ts";
import { logRequests } from "./request-log.ts";
import { setSecurityHeaders } from "./security-headers.ts";

export type App = Readonly<{ app: OpenAPIHono<Env>; endpoints: readonly Endpoint[] }>;

export function createApp(deps: Deps, draining: () => boolean = () => false): App {
  const app = new OpenAPIHono<Env>();
  app.use(logRequests(deps), setSecurityHeaders(), onlyErrors);
  registerSecurity(app);
  const endpoints = createEndpoints(deps);
  const doorkeeper = createDoorkeeper(deps);
  for (const endpoint of endpoints) mount(app, deps, doorkeeper, endpoint);
  mountHealth(app, { ...deps, draining });
  mountDocument(app);
  mountPages(app);
  if (deps.portal !== undefined) app.route("/", deps.portal.app);
  mountLogos(app, deps);
  if (deps.config.metricsPort === 0) mountMetrics(app, deps, doorkeeper);
  answerFailures(app, deps);
  answerUnknown(app, deps);
  return { app, endpoints };
}

function mountDocument(app: OpenAPIHono<Env>): void {
  const { version } = JSON.parse(readFileSync(new URL("../../package.json", import.meta.url), "utf8"));
  let document: string | undefined;
  app.get("/openapi.json", (c) => {
    c.set("route", "/openapi.json");
    document ??= JSON.stringify(openApiDocument(app, version));
    return c.body(document, 200, { "Content-Type": "application/json" });
  });
}

function mountMetrics(app: OpenAPIHono<Env>, deps: Deps, doorkeeper: Doorkeeper): void {
  app.get("/metrics", async (c) => {
    c.set("route", "/metrics");
    if (!doorkeeper.origin(c).loopback) {
      const principal = await doorkeeper.identify(c);
      if (principal.kind !== "operator") throw new Problem("forbidden", "Only the operator may read the metrics.");
    }
    return metricsAnswer(deps);
  });
}

/** Hono answers what is thrown only when it is an Error. */
const onlyErrors: MiddlewareHandler<Env> = async (_, next) => {
  try {
    await next();
  } catch (thrown) {
    throw thrown instanceof Error ? thrown : new Error(`thrown: ${String(thrown)}`);
  }
};

/** Whatever is thrown becomes a problem; what is not the caller's to know goes to the log under the same instance. */
function answerFailures(app: OpenAPIHono<Env>, { log }: Deps): void {
  app.onError((error, c) => {
    const problem = problemOf(error);
    const instance = c.get("instance");
    if (problem.status >= 500) {
      const { name, message, stack } = error;
      const { code } = error as { code?: unknown };
      log.error({ event: "api.failed", instance, error: { name, message, code, stack } });
    }
    return answerProblem(problem, instance);
  });
}

/** Of programs: what is unknown there is a problem, whoever asks. */
const FOR_PROGRAMS = /^\/(?:v1|problems|openapi\.json|metrics|healthz|readyz)(?:\/|$)/;

/** 405 where the path is known with other methods, else 404; a page for browsers. */
function answerUnknown(app: OpenAPIHono<Env>, { portal }: Deps): void {
  const known = app.routes
    .filter(({ method, path }) => method !== "ALL" && !path.includes("*"))
    .map(({ method, path }) => ({ method, pattern: new RegExp(`^${path.replaceAll(/:[^/]+/g, "[^/]+")}$`) }));
  app.notFound(async (c) => {
    const page =
      portal !== undefined && !FOR_PROGRAMS.test(c.req.path) && prefersPage(c.req.header("accept"))
        ? portal
        : undefined;
    const methods = new Set(known.filter(({ pattern }) => pattern.test(c.req.path)).map(({ method }) => method));
    if (methods.size === 0 || methods.has(c.req.method)) {
      if (page !== undefined) return page.answerUnknown(c, 404);
      return answerProblem(new Problem("not-found", "There is nothing at this path."), c.get("instance"));
    }
    if (methods.has("GET")) methods.add("HEAD");
    const allow = [...methods].sort().join(", ");
    if (page !== undefined) {
      c.header("Allow", allow);
      return page.answerUnknown(c, 405);
    }
    const problem = new Problem("method-not-allowed", `This path knows: ${allow}.`, { headers: { Allow: allow } });
    return answerProblem(problem, c.get("instance"));
  });
}
