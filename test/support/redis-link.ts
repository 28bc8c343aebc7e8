/** The way to a Redis, of which the answers can be late or lost, and which can lead to another one. Ended by its own handle. */
import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Socket } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll } from "vitest";

export type RedisLink = Readonly<{
  url: string;
  /** Answers come so much later, in their order. */
  delay(ms: number): void;
  /** The next call that holds the word is carried out; its answer and the connection are lost. */
  loseAnswer(word: string): void;
  /** Connections are closed, and new ones lead to that port. */
  lead(port: number): void;
}>;

export async function startRedisLink(url: string): Promise<RedisLink> {
  let port = Number(new URL(url).port);
  let delayMs = 0;
  let lost: string | undefined;
  const sockets = new Set<Socket>();
  const closeAll = () => {
    for (const socket of sockets) socket.destroy();
  };
  const server = createServer((client) => {
    const redis = connect(port, "127.0.0.1");
    for (const [one, other] of [
      [client, redis],
      [redis, client],
    ] as const) {
      sockets.add(one);
      one.on("error", () => {});
      one.on("close", () => {
        sockets.delete(one);
        other.destroy();
      });
    }
    let losing = false;
    let line = Promise.resolve(); // the answers, in their order, also when the delay gets shorter
    client.on("data", (chunk) => {
      losing ||= lost !== undefined && chunk.includes(lost);
      if (losing) lost = undefined;
      redis.write(chunk);
    });
    redis.on("data", (chunk) => {
      if (losing) return void client.destroy();
      const dueAtMs = performance.now() + delayMs;
      line = line.then(async () => {
        const waitMs = dueAtMs - performance.now();
        if (waitMs > 0) await sleep(waitMs);
        if (!client.destroyed) client.write(chunk);
      });
    });
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  afterAll(() => {
    closeAll();
    server.close();
  });
  return {
    url: `redis://127.0.0.1:${(server.address() as AddressInfo).port}`,
    delay(ms) {
      delayMs = ms;
    },
    loseAnswer(word) {
      lost = word;
    },
    lead(to) {
      port = to;
      closeAll();
    },
  };
}
