/** Holds a process whose sessions ask to send and are refused, again and again. */
import { fork } from "node:child_process";
import { once } from "node:events";
import type { Login } from "./target.ts";

export type HammerOrder = Readonly<{
  port: number;
  login: Login;
  sessions: number;
  seconds: number;
  /** MAIL commands in one write. */
  atOnce: number;
}>;

export type Hammered = Readonly<{
  refused: number; // 550
  others: number; // any other answer to MAIL
  reconnects: number;
  seconds: number;
}>;

export type Hammer = Readonly<{ run(order: HammerOrder): Promise<Hammered>; stubPort: number }> & AsyncDisposable;

/** `stubPort`: a server in the same process that refuses without a thought: what the hammering itself costs. */
export async function startHammer(): Promise<Hammer> {
  const child = fork(new URL("./growth-hammer-process.ts", import.meta.url));
  const ended = once(child, "exit");
  const [hello] = (await Promise.race([once(child, "message"), ended])) as [{ stubPort?: number } | number];
  if (typeof hello !== "object" || hello?.stubPort === undefined) throw new Error("the hammer did not start");
  return {
    stubPort: hello.stubPort,
    async run(order) {
      const answer = once(child, "message");
      child.send(order);
      const [hammered] = (await Promise.race([answer, ended])) as [Hammered | number | null];
      if (typeof hammered !== "object" || hammered === null) throw new Error("the hammer's process ended");
      return hammered;
    },
    async [Symbol.asyncDispose]() {
      if (child.connected) child.disconnect();
      await ended;
    },
  };
}
