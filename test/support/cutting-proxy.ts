/**
 * A way to Postgres that loses, on demand, one call with a given word in it: the request, the answer, or the request until
 * its sender has given up on it. Ended by its own handle.
 */
import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Socket } from "node:net";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll } from "vitest";

/** `late`: the server gets it, and commits it, after the client's connection was cut. */
export type Cut = "request" | "answer" | "late";

export type CuttingProxy = Readonly<{
  url: string;
  /** Of the next call that holds the word. Resolves when the server is done with it. */
  cutNext(how: Cut): Promise<void>;
}>;

const LATE_MS = 300;

/** `url`: of a server on a unix socket. */
export async function startCuttingProxy(url: string, word: string): Promise<CuttingProxy> {
  const target = new URL(url);
  const path = join(target.searchParams.get("host") ?? "", ".s.PGSQL.5432");
  const waiting: { how: Cut; done: () => void }[] = [];
  const sockets = new Set<Socket>();
  const server = createServer((client) => {
    const upstream = connect(path);
    let cut: Cut | undefined;
    const end = () => {
      client.destroy();
      upstream.destroy();
    };
    for (const socket of [client, upstream]) {
      sockets.add(socket);
      socket.on("error", () => {});
      socket.on("close", () => sockets.delete(socket));
    }
    client.on("close", () => cut !== "late" && upstream.destroy());
    upstream.on("close", () => client.destroy());
    client.on("data", (chunk) => {
      const asked = chunk.includes(word) ? waiting.shift() : undefined;
      if (asked === undefined) return void upstream.write(chunk);
      cut = asked.how;
      if (cut === "answer") upstream.write(chunk);
      else client.destroy();
      if (cut === "request") upstream.destroy();
      if (cut === "late") void sleep(LATE_MS).then(() => upstream.end(chunk));
      upstream.once("close", asked.done);
    });
    upstream.on("data", (chunk) => {
      if (cut === "answer") end();
      else if (cut === undefined) client.write(chunk);
    });
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  afterAll(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  const here = new URL(url);
  here.searchParams.delete("host");
  here.hostname = "127.0.0.1";
  here.port = String((server.address() as AddressInfo).port);
  return {
    url: here.href,
    cutNext: (how) => new Promise((done) => waiting.push({ how, done })),
  };
}
