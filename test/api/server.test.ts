/** Over real sockets on loopback. */
import { once } from "node:events";
import { connect } from "node:net";
import { describe, expect, test } from "vitest";
import type { Deps } from "../../src/api/deps.ts";
import { startApi } from "../../src/api/server.ts";
import { newMaster, OPERATOR_KEY, openDoor } from "./client.ts";

const door = await openDoor();
const master = await newMaster(door);

async function start(change: Partial<Deps["config"]> = {}, deps: Partial<Deps> = {}) {
  const server = await startApi({ ...door.deps, ...deps, config: { ...door.deps.config, ...change } });
  return { ...server, url: `http://127.0.0.1:${server.port}` };
}

const bearer = { Authorization: `Bearer ${master.key}` };

/** What comes back for bytes that no client library would send. */
async function raw(port: number, bytes: string): Promise<string> {
  const socket = connect(port, "127.0.0.1");
  let text = "";
  socket.on("data", (chunk) => {
    text += chunk;
  });
  socket.on("error", () => {});
  socket.end(bytes);
  await once(socket, "close");
  return text;
}

describe("the server", () => {
  test("takes a free port, answers there, and is gone when it is disposed of", async () => {
    let url: string;
    {
      await using server = await start();
      url = server.url;
      expect(server.port).toBeGreaterThan(0);
      expect((await fetch(`${url}/v1/account`, { headers: bearer })).status).toBe(200);
    }
    await expect(fetch(url)).rejects.toThrow();
  });

  test("a taken port is told at once", async () => {
    await using server = await start();
    await expect(start({ httpPort: server.port })).rejects.toThrow("EADDRINUSE");
  });

  test("metrics are open to this machine, not to what a proxy here passes on", async () => {
    await using server = await start();
    const metrics = (headers: Record<string, string> = {}) => fetch(`${server.url}/metrics`, { headers });
    expect((await metrics()).status).toBe(200);
    for (const header of ["X-Forwarded-For", "Forwarded", "Via", "X-Real-IP"]) {
      expect((await metrics({ [header]: "127.0.0.1" })).status, header).toBe(401);
    }
    expect((await metrics({ "X-Forwarded-For": "192.0.2.1", Authorization: `Bearer ${OPERATOR_KEY}` })).status).toBe(
      200,
    );
  });

  test("with a port of their own, metrics and health are there, and nothing else is", async () => {
    const probe = await start();
    const metricsPort = probe.port;
    await probe[Symbol.asyncDispose]();
    await using server = await start({ metricsPort });
    expect(server.metricsPort).toBe(metricsPort);
    const at = async (path: string) => (await fetch(`http://127.0.0.1:${metricsPort}${path}`)).status;
    expect([await at("/metrics"), await at("/healthz"), await at("/readyz"), await at("/v1/account")]).toEqual([
      200, 200, 200, 404,
    ]);
    expect((await fetch(`${server.url}/metrics`)).status).toBe(404);
    expect((await fetch(`${server.url}/healthz`)).status).toBe(200);
  });

  test("draining: what is under way is answered, nothing new is taken, and it ends", async () => {
    const [entered, go] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
    const { key, forget } = door.deps.authenticator;
    const slow = async (token: string, client: string) => {
      entered.resolve();
      await go.promise;
      return key(token, client);
    };
    const server = await start({}, { authenticator: { key: slow, forget } });
    const request = fetch(`${server.url}/v1/account`, { headers: bearer });
    await entered.promise;
    const drained = server.drain();
    await expect(fetch(`${server.url}/healthz`)).rejects.toThrow();
    go.resolve();
    expect((await request).status).toBe(200);
    await drained; // or its client, who keeps the connection, would hold it for all of the patience
    await server[Symbol.asyncDispose]();
  }, 15_000);

  test("while it drains, the metrics port says that it is not ready", async () => {
    const probe = await start();
    const metricsPort = probe.port;
    await probe[Symbol.asyncDispose]();
    await using server = await start({ metricsPort });
    await server.drain();
    const answer = await fetch(`http://127.0.0.1:${metricsPort}/readyz`);
    expect([answer.status, ((await answer.json()) as { problems: string[] }).problems]).toEqual([503, ["draining"]]);
  });

  test.each([
    ["no HTTP at all", "hello\r\n\r\n"],
    ["a header that is too long", `GET / HTTP/1.1\r\nHost: x\r\nX: ${"a".repeat(40_000)}\r\n\r\n`],
    ["two lengths", "POST /v1/keys HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n{}"],
    [
      "length and chunks",
      "POST /v1/keys HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    ],
    ["no host", "GET /healthz HTTP/1.1\r\n\r\n"],
    ["a path that is no path", "GET http://[ HTTP/1.1\r\nHost: x\r\n\r\n"],
    ["a host that is no host", "GET /healthz HTTP/1.1\r\nHost: a b\r\n\r\n"],
    ["a line without an end", "GET /"],
  ])("%s is refused without a stack, and the server lives", async (_, bytes) => {
    await using server = await start();
    const text = await raw(server.port, bytes);
    expect(text).not.toMatch(/\.ts:|\.js:|node_modules/);
    if (text !== "") expect(text).toMatch(/^HTTP\/1\.1 4\d\d/);
    expect((await fetch(`${server.url}/healthz`)).status).toBe(200);
  });

  test("an upload that is too large is 413, and the next request is answered", async () => {
    await using server = await start();
    const post = (body: string) =>
      fetch(`${server.url}/v1/keys`, {
        method: "POST",
        headers: { ...bearer, "Content-Type": "application/json" },
        body,
      });
    expect((await post("x".repeat(3_000_000))).status).toBe(413);
    expect((await post(JSON.stringify({ name: "k", scopes: ["read"] }))).status).toBe(201);
  });

  test("a client that goes away in the middle harms nobody", async () => {
    await using server = await start();
    const socket = connect(server.port, "127.0.0.1");
    socket.write(
      `POST /v1/keys HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${master.key}\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{`,
    );
    await once(socket, "connect");
    await fetch(`${server.url}/healthz`);
    socket.resetAndDestroy();
    expect((await fetch(`${server.url}/v1/account`, { headers: bearer })).status).toBe(200);
  });
});
