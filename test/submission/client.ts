/** A raw SMTP client: lines out, replies in. */
import { connect as connectTcp, type Socket } from "node:net";
import { connect as connectTls } from "node:tls";

/** The lines of one reply, as they came. */
export type Reply = readonly string[];

export class Client {
  #socket: Socket;
  /** Beneath TLS, where there is some. */
  readonly #ground: Socket;
  #buffer = "";
  #waiting: (() => void) | undefined;
  closed = false;
  error: Error | undefined;

  private constructor(socket: Socket, ground = socket) {
    this.#ground = ground;
    this.#socket = socket;
    this.#listen();
  }

  static async connect(port: number, host = "127.0.0.1"): Promise<Client> {
    const socket = connectTcp({ port, host, noDelay: true });
    await new Promise<void>((resolve, reject) => socket.once("connect", resolve).once("error", reject));
    return new Client(socket);
  }

  /** `servername`: what it asks for by SNI. */
  static async connectSecure(port: number, servername?: string): Promise<Client> {
    const ground = connectTcp({ port, host: "127.0.0.1", noDelay: true });
    const socket = connectTls({ socket: ground, rejectUnauthorized: false, ...(servername && { servername }) });
    await new Promise<void>((resolve, reject) => socket.once("secureConnect", resolve).once("error", reject));
    return new Client(socket, ground);
  }

  get socket(): Socket {
    return this.#socket;
  }

  #listen(): void {
    this.#socket.setEncoding("utf8");
    this.#socket.on("data", (text: string) => {
      this.#buffer += text;
      this.#waiting?.();
    });
    this.#socket.on("error", (error) => {
      this.error = error;
    });
    const end = () => {
      this.closed = true;
      this.#waiting?.();
    };
    this.#socket.on("end", end).on("close", end);
  }

  write(bytes: string | Uint8Array): void {
    this.#socket.write(bytes);
  }

  /** Resolves with the next whole reply; an empty one when the server has closed. */
  async reply(): Promise<Reply> {
    for (;;) {
      const whole = /^(?:\d{3}-.*\r\n)*\d{3}(?: .*)?\r\n/.exec(this.#buffer)?.[0];
      if (whole !== undefined) {
        this.#buffer = this.#buffer.slice(whole.length);
        return whole.trimEnd().split("\r\n");
      }
      if (this.closed) return [];
      await new Promise<void>((resolve) => {
        this.#waiting = resolve;
      });
    }
  }

  async command(line: string): Promise<string> {
    this.write(`${line}\r\n`);
    return (await this.reply()).join("\n");
  }

  /** Resolves when the server has closed, with what it still said. */
  async end(): Promise<string> {
    while (!this.closed) {
      await new Promise<void>((resolve) => {
        this.#waiting = resolve;
      });
    }
    return this.#buffer;
  }

  async starttls(servername?: string): Promise<void> {
    this.#socket.removeAllListeners();
    const socket = connectTls({ socket: this.#socket, rejectUnauthorized: false, ...(servername && { servername }) });
    await new Promise<void>((resolve, reject) => socket.once("secureConnect", resolve).once("error", reject));
    this.#socket = socket;
    this.#listen();
  }

  destroy(): void {
    this.#socket.destroy();
  }

  reset(): void {
    this.#ground.resetAndDestroy();
  }
}

export const plain = (username: string, password: string, authzid = "") =>
  Buffer.from(`${authzid}\0${username}\0${password}`).toString("base64");

/** A client that has said EHLO and AUTH. */
export async function ready(port: number): Promise<Client> {
  const client = await Client.connect(port);
  await client.reply();
  await client.command("EHLO client.example");
  const answer = await client.command(`AUTH PLAIN ${plain("app", "secret")}`);
  if (!answer.startsWith("235")) throw new Error(answer);
  return client;
}

/** Sends a message up to its final dot, and returns the answer to it. */
export async function send(client: Client, text: string, recipients = ["a@one.example"]): Promise<string> {
  for (const line of ["MAIL FROM:<app@customer.example>", ...recipients.map((to) => `RCPT TO:<${to}>`), "DATA"]) {
    const answer = await client.command(line);
    if (!/^[23]/.test(answer)) return answer;
  }
  return client.command(`${text}\r\n.`);
}
