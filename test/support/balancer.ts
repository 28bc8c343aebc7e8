/** One address before several nodes, as a balancer of TCP connections: the next node that takes a connection gets it. */
import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Socket } from "node:net";
import { afterAll } from "vitest";

export type Balancer = Readonly<{ port: number /** Connections that no node took. */; turnedAway(): number }>;

/** `nodes`: the ports of those that run, or did a moment ago. Ends with the test file. */
export async function startBalancer(nodes: () => readonly number[]): Promise<Balancer> {
  const sockets = new Set<Socket>();
  let turnedAway = 0;
  let turn = 0;
  const server = createServer({ pauseOnConnect: true }, (client) => {
    keep(client);
    const ports = nodes();
    turn += 1;
    join(
      client,
      ports.map((_, i) => ports[(turn + i) % ports.length] as number),
    );
  });
  function keep(socket: Socket): void {
    sockets.add(socket);
    socket.on("error", () => {});
    socket.on("close", () => sockets.delete(socket));
  }
  function join(client: Socket, [port, ...others]: readonly number[]): void {
    if (port === undefined) {
      turnedAway += 1;
      client.destroy();
      return;
    }
    const node = connect(port, "127.0.0.1");
    keep(node);
    const next = () => join(client, others);
    node.once("error", next);
    node.once("connect", () => {
      node.off("error", next);
      client.pipe(node).pipe(client);
      client.on("close", () => node.destroy());
      node.on("close", () => client.end());
    });
  }
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  afterAll(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  return { port: (server.address() as AddressInfo).port, turnedAway: () => turnedAway };
}
