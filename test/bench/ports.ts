/** Ports on loopback: free ones, for programs that can't take port 0 and tell which one they got, and whether someone answers. */
import { once } from "node:events";
import { type AddressInfo, connect, createServer } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";

export async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, "close");
  return port;
}

/** True once something greets on the port. */
export async function answers(port: number, withinMs: number): Promise<boolean> {
  for (const until = Date.now() + withinMs; Date.now() < until; await sleep(50)) {
    const socket = connect({ host: "127.0.0.1", port });
    const greeted = await Promise.race([once(socket, "data").then(() => true), sleep(2000, false)]).catch(() => false);
    socket.destroy();
    if (greeted) return true;
  }
  return false;
}
