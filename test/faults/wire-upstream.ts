/**
 * An upstream as lenient as any that was ever smuggled into: CR, LF and CRLF all end a line, and a dot alone on a line ends a
 * message, NUL or not. It keeps every byte it was sent.
 */
import { once } from "node:events";
import net from "node:net";
import { afterAll } from "vitest";

export type Taken = Readonly<{ mail: string; rcpt: readonly string[]; lines: readonly string[] }>;

export type Lenient = Readonly<{ port: number; taken: readonly Taken[]; bytes: () => Buffer }> & AsyncDisposable;

export type Answers = Partial<Record<"ehlo" | "mail" | "rcpt" | "data" | "end", string>>;

const usual = {
  ehlo: "250-lenient.example\r\n250-8BITMIME\r\n250-SMTPUTF8\r\n250 PIPELINING",
  mail: "250 2.1.0 Sender ok",
  rcpt: "250 2.1.5 Recipient ok",
  data: "354 Go ahead",
  end: "250 2.0.0 Queued",
};

/** `answers`: what it says instead; asked anew each time. */
export async function startLenient(answers: Answers = {}): Promise<Lenient> {
  const taken: Taken[] = [];
  const chunks: Buffer[] = [];
  const sockets = new Set<net.Socket>();
  const say = (name: keyof typeof usual) => answers[name] ?? usual[name];
  const server = net.createServer((socket) => {
    sockets.add(socket);
    socket.on("close", () => sockets.delete(socket));
    socket.on("error", () => {});
    socket.setNoDelay(true);
    socket.write("220 lenient.example ESMTP\r\n");
    const session = converse(say, taken);
    let rest = "";
    socket.on("data", (chunk) => {
      chunks.push(chunk);
      const lines = (rest + chunk.toString("latin1")).split(/\r\n|\n|\r(?!$)/);
      rest = lines.pop() ?? "";
      const said = lines.flatMap((line) => session(line));
      if (said.length > 0) socket.write(`${said.join("\r\n")}\r\n`);
    });
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  let closed = false;
  const dispose = async () => {
    if (closed) return;
    closed = true;
    for (const socket of sockets) socket.destroy();
    await new Promise<void>((resolve) => server.close(() => resolve()));
  };
  afterAll(dispose);
  const { port } = server.address() as net.AddressInfo;
  return { port, taken, bytes: () => Buffer.concat(chunks), [Symbol.asyncDispose]: dispose };
}

function converse(say: (name: keyof typeof usual) => string, taken: Taken[]): (line: string) => string[] {
  let mail = "";
  let rcpt: string[] = [];
  let lines: string[] | undefined;
  return (line) => {
    if (lines !== undefined) {
      if (line.replaceAll("\0", "") !== ".") {
        lines.push(line.replace(/^\./, ""));
        return [];
      }
      taken.push({ mail, rcpt, lines });
      lines = undefined;
      return [say("end")];
    }
    const verb = line.slice(0, 4).toUpperCase();
    if (verb === "EHLO") return [say("ehlo")];
    if (verb === "MAIL") {
      mail = line;
      rcpt = [];
      return [say("mail")];
    }
    if (verb === "RCPT") {
      rcpt.push(line);
      return [say("rcpt")];
    }
    if (verb === "DATA") lines = [];
    return [verb === "DATA" ? say("data") : verb === "QUIT" ? "221 Bye" : "250 ok"];
  };
}
