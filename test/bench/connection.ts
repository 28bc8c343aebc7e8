/** One SMTP connection of the generator: lines out, replies in, logged in when it is handed over. As cheap as can be. */
import { connect, type Socket } from "node:net";
import { connect as connectTls } from "node:tls";
import type { Login } from "./target.ts";

export const tlsKinds = ["off", "starttls", "implicit"] as const;
export type Tls = (typeof tlsKinds)[number];

export type Server = Readonly<{
  port: number; // on 127.0.0.1
  tls: Tls;
  login: Login | null;
}>;

export type Connection = Readonly<{
  write(bytes: string | Buffer): void;
  /** The last line of the next whole reply. Rejects when the connection has ended. */
  reply(): Promise<string>;
  end(): void;
}>;

/** A reply with this code, else an error that shows the reply. */
export async function expect(c: Connection, code: string): Promise<void> {
  const line = await c.reply();
  if (!line.startsWith(code)) throw new Error(`expected ${code}, got: ${line}`);
}

/** Connects, greets and logs in. */
export async function openConnection({ port, tls, login }: Server): Promise<Connection> {
  const secure = { rejectUnauthorized: false } as const;
  const socket =
    tls === "implicit" ? connectTls({ host: "127.0.0.1", port, ...secure }) : connect({ host: "127.0.0.1", port });
  let c = attach(socket);
  try {
    await expect(c, "220");
    c.write("EHLO client.bench.example\r\n");
    await expect(c, "250");
    if (tls === "starttls") {
      c.write("STARTTLS\r\n");
      await expect(c, "220");
      socket.removeAllListeners("data");
      c = attach(connectTls({ socket, ...secure }));
      c.write("EHLO client.bench.example\r\n");
      await expect(c, "250");
    }
    if (login !== null) {
      const plain = Buffer.from(`\0${login.username}\0${login.password}`, "utf8").toString("base64");
      c.write(`AUTH PLAIN ${plain}\r\n`);
      await expect(c, "235");
    }
    return c;
  } catch (error) {
    c.end();
    throw error;
  }
}

function attach(socket: Socket): Connection {
  let received = "";
  const replies: string[] = [];
  let waiting: { resolve(line: string): void; reject(error: Error): void } | undefined;
  let ended: Error | undefined;

  const deliver = (line: string): void => {
    if (line[3] === "-") return;
    if (waiting === undefined) {
      replies.push(line);
      return;
    }
    const { resolve } = waiting;
    waiting = undefined;
    resolve(line);
  };
  const fail = (error: Error): void => {
    ended ??= error;
    waiting?.reject(ended);
    waiting = undefined;
    socket.destroy();
  };

  socket.setNoDelay(true);
  socket.setTimeout(60_000, () => fail(new Error("no answer for 60 s")));
  socket.on("error", fail);
  socket.on("close", () => fail(new Error("connection closed")));
  socket.on("data", (chunk: Buffer) => {
    received += chunk.toString("latin1");
    let start = 0;
    for (let end = received.indexOf("\n"); end >= 0; end = received.indexOf("\n", start)) {
      deliver(received.slice(start, received[end - 1] === "\r" ? end - 1 : end));
      start = end + 1;
    }
    received = received.slice(start);
  });
  return {
    write: (bytes) => void socket.write(bytes),
    reply: () => {
      const line = replies.shift();
      if (line !== undefined) return Promise.resolve(line);
      if (ended !== undefined) return Promise.reject(ended);
      return new Promise((resolve, reject) => {
        waiting = { resolve, reject };
      });
    },
    end: () => void socket.destroy(),
  };
}
