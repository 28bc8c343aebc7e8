/**
 * A way to Postgres or Redis that stops, on demand, at one point of the protocol: a call with a given word in it has been
 * sent and not arrived (`request`), or has been answered and the answer not arrived (`answer`). What is held is never let go:
 * its client is to be killed meanwhile, and with it goes the connection. Ended by its own handle.
 */
import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Socket } from "node:net";
import { join } from "node:path";
import { afterAll } from "vitest";

export type Held = "request" | "answer";

export type HoldingProxy = Readonly<{
  url: string;
  /** At the next call that holds the word. Resolves to the call, as latin1, when it is held there. */
  holdNext(word: string, what: Held): Promise<string>;
}>;

type Waiting = Readonly<{ word: string; what: Held; held: (call: string) => void }>;

/** ReadyForQuery, idle: what was asked is committed, or rolled back, and answered in full. */
const READY = Buffer.from([0x5a, 0, 0, 0, 5, 0x49]);

export async function startHoldingProxy(url: string): Promise<HoldingProxy> {
  const target = new URL(url);
  const isPostgres = target.protocol.startsWith("postgres");
  const open = () =>
    isPostgres
      ? connect(join(target.searchParams.get("host") ?? "", ".s.PGSQL.5432"))
      : connect(Number(target.port), target.hostname);
  let waiting: readonly Waiting[] = [];
  const take = (chunk: Buffer) => {
    const found = waiting.find(({ word }) => chunk.includes(word));
    waiting = waiting.filter((one) => one !== found);
    return found;
  };
  const sockets = new Set<Socket>();
  const server = createServer((client) => {
    const upstream = open();
    for (const [one, other] of [
      [client, upstream],
      [upstream, client],
    ] as const) {
      sockets.add(one);
      one.on("error", () => {});
      one.on("close", () => {
        sockets.delete(one);
        other.destroy();
      });
    }
    pass(client, upstream, take, isPostgres);
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
    holdNext: (word, what) =>
      new Promise((held) => {
        waiting = [...waiting, { word, what, held }];
      }),
  };
}

function pass(
  client: Socket,
  upstream: Socket,
  take: (chunk: Buffer) => Waiting | undefined,
  isPostgres: boolean,
): void {
  let asked: Waiting | undefined;
  let call = "";
  client.on("data", (chunk) => {
    if (asked === undefined) {
      asked = take(chunk);
      call = asked === undefined ? "" : chunk.toString("latin1");
      if (asked?.what === "request") asked.held(call);
    }
    if (asked?.what !== "request") upstream.write(chunk);
  });
  upstream.on("data", (chunk) => {
    if (asked === undefined) client.write(chunk);
    else if (!isPostgres || chunk.subarray(-READY.length).equals(READY)) asked.held(call);
  });
}
