/**
 * Sessions at their limit that do not give up, and beside them a stub that answers the same without any work.
 *
 * Started by growth-hammer.ts with an IPC channel; ends when the channel closes.
 */
import { type AddressInfo, createServer, type Socket } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { type Connection, openConnection } from "./connection.ts";
import type { Hammered, HammerOrder } from "./growth-hammer.ts";

async function hammer({ port, login, sessions, seconds, atOnce }: HammerOrder): Promise<Hammered> {
  const started = performance.now();
  const until = started + seconds * 1000;
  const counts = { refused: 0, others: 0, reconnects: 0 };
  const lines = "MAIL FROM:<app@bench.example>\r\n".repeat(atOnce);
  const session = async (): Promise<void> => {
    let connection: Connection | undefined;
    while (performance.now() < until) {
      try {
        connection ??= await openConnection({ port, tls: "off", login });
        connection.write(lines);
        for (let n = 0; n < atOnce; n++) {
          const answer = await connection.reply();
          if (answer.startsWith("550")) counts.refused++;
          else counts.others++;
        }
      } catch {
        // A connection may not go on for ever without a message.
        counts.reconnects++;
        connection?.end();
        connection = undefined;
        await sleep(1);
      }
    }
    connection?.end();
  };
  await Promise.all(Array.from({ length: sessions }, session));
  return { ...counts, seconds: (performance.now() - started) / 1000 };
}

function refuse(socket: Socket): void {
  let pending = "";
  socket.setNoDelay(true);
  socket.write("220 stub ESMTP\r\n");
  socket.on("error", () => socket.destroy());
  socket.on("data", (chunk) => {
    const lines = (pending + chunk.toString("latin1")).split("\r\n");
    pending = lines.pop() ?? "";
    socket.write(lines.map(answerTo).join(""));
  });
}

function answerTo(line: string): string {
  if (line.startsWith("MAIL")) return "550 5.4.5 Monthly limit reached\r\n";
  return line.startsWith("AUTH") ? "235 2.7.0 go on\r\n" : "250 stub\r\n";
}

const stub = createServer(refuse).listen(0, "127.0.0.1", () => {
  process.send?.({ stubPort: (stub.address() as AddressInfo).port });
});
process.on("message", (order: HammerOrder) => {
  void hammer(order).then((hammered) => process.send?.(hammered));
});
process.on("disconnect", () => process.exit(0));
