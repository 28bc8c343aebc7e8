/**
 * Everything an upstream may do at every stage, and what must become of the message. The oracle is this page, not the code:
 * only a reply about the message itself is final; the session's troubles are not the message's; after the final dot whatever
 * is no clear answer leaves it unknown.
 */
import type net from "node:net";
import { TLSSocket } from "node:tls";
import { CUT, HANG, type Said, type Script } from "../support/upstream.ts";

export const stages = ["greeting", "ehlo", "starttls", "auth", "mail", "rcpt", "data", "dot"] as const;
export type Stage = (typeof stages)[number];
export type Fate = "delivered" | "deferred" | "bounced" | "unknown";

/** `hangs`: only our patience ends it. */
export type Behaviour = Readonly<{ said: Said; hangs?: true; fates: Readonly<Record<Stage, Fate>> }>;

const letters: Record<string, Fate> = { D: "delivered", d: "deferred", B: "bounced", "?": "unknown" };

/** One letter for each stage, in their order. */
function row(said: Said, fates: string, hangs?: true): Behaviour {
  const named = stages.map((stage, i) => [stage, letters[fates[i] as string]]);
  return { said, fates: Object.fromEntries(named), ...(hangs && { hangs }) };
}

const RESET: Said = (socket) => {
  if (socket instanceof TLSSocket) socket.destroy();
  else socket.resetAndDestroy();
};
const halfOf =
  (text: string): Said =>
  (socket) =>
    void socket.end(text);

/** Lines that say that more will come, as long as anybody listens. */
function goOn(socket: net.Socket): void {
  const timer = setInterval(() => socket.write("250-and\r\n"), 2);
  socket.once("close", () => clearInterval(timer));
}

export const behaviours: Readonly<Record<string, Behaviour>> = {
  // greeting, EHLO, STARTTLS, AUTH, MAIL, RCPT, DATA, dot
  "4xx": row("451 4.3.0 Later", "dddddddd"),
  "4xx without an enhanced code": row("450 Later", "dddddddd"),
  "4xx in lines": row("450-4.2.1 Later\n450 4.2.1 much later", "dddddddd"),
  "4xx that says 5": row("451 5.1.1 Which?", "dddddddd"),
  "421": row("421 4.3.2 Closing", "dddddddd"),
  "5xx": row("554 5.7.1 No", "ddddBBBB"),
  "5xx without an enhanced code": row("550 No", "ddddBBBB"),
  "5xx in lines": row("550-5.7.1 No\n550-5.7.1 and\n550 5.7.1 no", "ddddBBBB"),
  "5xx with a bare code": row("550", "ddddBBBB"),
  "5xx with control characters": row("550 5.7.1 a\0b\u001b[31m\tc\u0085\rd", "ddddBBBB"),
  "5xx that means our log-in": row("530 5.7.0 Authentication required", "dddddddd"),
  "3xx": row("354 Go on", "ddddddD?"),
  "no code": row("hello", "ddddddd?"),
  "a code of no class": row("999 What", "ddddddd?"),
  "a code of two digits": row("55 5.7.1 No", "ddddddd?"),
  "lines of different codes": row("250-2.0.0 Yes\n550 5.7.1 no", "dDdDddd?"),
  "the end (FIN)": row((socket) => void socket.end(), "ddddddd?"),
  "the end at once": row(CUT, "ddddddd?"),
  "the end (RST)": row(RESET, "ddddddd?"),
  "half a yes, then the end": row(halfOf("250 2.0.0 Queued"), "ddddddd?"),
  "half a no, then the end": row(halfOf("550 5.7.1 N"), "ddddddd?"),
  "a line of 1 MB": row(`250 ${"x".repeat(1_000_000)}`, "ddddddd?"),
  silence: row(HANG, "ddddddd?", true),
  "no end": row(goOn, "ddddddd?", true),
};

/** A script that does so at that stage, the first time alone where `once`. */
export function scriptOf(stage: Stage, { said }: Behaviour, once = () => true): Script {
  const say = () => (once() ? said : undefined);
  const name = ({ ehlo: "helo", dot: "end" } as Record<string, string>)[stage] ?? stage;
  return { [name]: say };
}
