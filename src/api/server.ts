/**
 * The HTTP server: the API with its pages on one port, and the metrics on another where one is set.
 *
 * `drain` makes /readyz say no, takes no new connection, and waits for what is under way; then the sockets close.
 */
import type { Server } from "node:http";
import type { AddressInfo } from "node:net";
import { createAdaptorServer } from "@hono/node-server";
import { createApp } from "./app.ts";
import type { Deps } from "./deps.ts";
import { createMetricsApp } from "./health.ts";

export type ApiServer = AsyncDisposable &
  Readonly<{
    port: number;
    /** 0: the metrics are on the API's port. */
    metricsPort: number;
    drain(): Promise<void>;
  }>;

const REQUEST_TIMEOUT_MS = 60_000;
const HEADERS_TIMEOUT_MS = 15_000;
/** Longer than load balancers keep an idle connection, so that it is they who close it. */
const KEEP_ALIVE_MS = 65_000;
const DRAIN_MS = 20_000;
const IDLE_MS = 50;

export async function startApi(deps: Deps): Promise<ApiServer> {
  let draining = false;
  const { httpHost, httpPort, metricsPort } = deps.config;
  const { app } = createApp(deps, () => draining);
  const server = await listen(app.fetch, httpHost, httpPort);
  const metrics = createMetricsApp({ ...deps, draining: () => draining });
  const metricsServer =
    metricsPort === 0
      ? undefined
      : await listen(metrics.fetch, httpHost, metricsPort).catch(async (error: unknown) => {
          await close(server);
          throw error;
        });
  let drained: Promise<void> | undefined;
  const drain = () => {
    draining = true;
    drained ??= close(server);
    return drained;
  };
  return {
    port: portOf(server),
    metricsPort: metricsServer === undefined ? 0 : portOf(metricsServer),
    drain,
    async [Symbol.asyncDispose]() {
      await drain();
      if (metricsServer !== undefined) await close(metricsServer);
    },
  };
}

/** For a node without the API: whether it is alive and well, on the metrics port or, where none is set, the API's. */
export async function startMonitoring(deps: Pick<Deps, "ready" | "metrics" | "scrape" | "config">): Promise<ApiServer> {
  let draining = false;
  const { httpHost, httpPort, metricsPort } = deps.config;
  const own = metricsPort !== 0;
  const { fetch } = createMetricsApp({ ...deps, draining: () => draining }, own);
  const server = await listen(fetch, httpHost, own ? metricsPort : httpPort);
  const drain = async () => {
    draining = true;
  };
  return {
    port: own ? 0 : portOf(server),
    metricsPort: own ? portOf(server) : 0,
    drain,
    [Symbol.asyncDispose]: () => close(server),
  };
}

type Fetch = Parameters<typeof createAdaptorServer>[0]["fetch"];

async function listen(fetch: Fetch, host: string, port: number): Promise<Server> {
  const server = createAdaptorServer({
    fetch,
    serverOptions: {
      requestTimeout: REQUEST_TIMEOUT_MS,
      headersTimeout: HEADERS_TIMEOUT_MS,
      keepAliveTimeout: KEEP_ALIVE_MS,
      maxHeaderSize: 16 * 1024,
    },
  }) as Server;
  const listening = Promise.withResolvers<void>();
  server.once("error", listening.reject);
  server.listen(port, host, listening.resolve);
  await listening.promise;
  server.off("error", listening.reject);
  return server;
}

function portOf(server: Server): number {
  return (server.address() as AddressInfo).port;
}

/** Requests under way end first; idle connections end now; whatever lasts longer than DRAIN_MS is cut. */
async function close(server: Server): Promise<void> {
  const closed = Promise.withResolvers<void>();
  server.close(() => closed.resolve());
  server.closeIdleConnections();
  const idle = setInterval(() => server.closeIdleConnections(), IDLE_MS); // whose request has ended meanwhile
  const cut = setTimeout(() => server.closeAllConnections(), DRAIN_MS);
  await closed.promise;
  clearInterval(idle);
  clearTimeout(cut);
}
