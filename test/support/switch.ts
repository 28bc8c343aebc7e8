/** One address for a Postgres that may move to another server, as a load balancer or a virtual address gives. */
import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Socket } from "node:net";
import { join } from "node:path";
import { afterAll } from "vitest";
import type { Server } from "./postgres-server.ts";

export type Switch = Readonly<{
  url(database: string): string;
  /** Cuts all connections; new ones go there. */
  turnTo(server: Server): void;
}>;

export async function startSwitch(first: Server): Promise<Switch> {
  let target = first;
  const sockets = new Set<Socket>();
  const server = createServer((client) => {
    const upstream = connect(join(target.place.socketFolder, ".s.PGSQL.5432"));
    for (const [one, other] of [
      [client, upstream],
      [upstream, client],
    ] as const) {
      sockets.add(one);
      one.pipe(other);
      one.on("error", () => {});
      one.on("close", () => {
        sockets.delete(one);
        other.destroy();
      });
    }
  });
  const cut = () => {
    for (const socket of sockets) socket.destroy();
  };
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  afterAll(() => {
    cut();
    server.close();
  });
  const { port } = server.address() as AddressInfo;
  return {
    url: (database) => `postgresql://postmeter@127.0.0.1:${port}/${database}`,
    turnTo(next) {
      target = next;
      cut();
    },
  };
}
