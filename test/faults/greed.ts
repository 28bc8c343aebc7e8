/** What greedy clients do to a node, as scenes that take how much: seconds' worth in npm test, all of it in npm run faults. */
import { randomBytes } from "node:crypto";
import type { Scene } from "../journeys/scene.ts";
import type { Relay, Tenant } from "../support/relay.ts";
import {
  addressOf,
  authPlain,
  beginMessage,
  connectFrom,
  inTurns,
  pause,
  peakMbOf,
  pourBytes,
  type Raw,
  say,
  sendLarge,
  startBystander,
} from "./greed-clients.ts";

/** The figures of a scene, and what became of the one beside it. */
type Shown = Record<string, number>;
export type Beside = Readonly<{ shown: Shown; refused: readonly string[] }>;

export type Stage = Readonly<{ relay: Relay; bystander: Tenant; greedy: Tenant }>;

/** Plays the scene with a bystander, for the time of the scene. */
async function beside({ relay, bystander }: Stage, play: () => Promise<Shown>): Promise<Beside> {
  const other = startBystander(() => relay.ports.submission, bystander);
  try {
    const shown = await play();
    const { served, refused, worstMs } = await other.stop();
    const figures = { served, refused: refused.length, "worst ms": Math.round(worstMs) };
    return { refused, shown: { ...shown, ...figures, "peak MB": Math.round(peakMbOf(relay.child.pid!)) } };
  } finally {
    await other.stop();
  }
}

/** Connections that say nothing, and from one address more than its share. */
export function idle(stage: Stage, how: { connections: number; perAddress: number; over: number }): Promise<Beside> {
  const { submission: port } = stage.relay.ports;
  return beside(stage, async () => {
    const open: Raw[] = [];
    const connect = async (from: string) => {
      const client = connectFrom(from, port);
      open.push(client);
      return (await client.reply()).slice(0, 3);
    };
    const spread = await inTurns(how.connections, 250, (n) => connect(addressOf(n % 100)));
    const crowd = await inTurns(how.perAddress + how.over, 250, () => connect("127.0.0.99"));
    await pause(1000);
    for (const { socket } of open) socket.destroy();
    const count = (answers: readonly string[], code: string) => answers.filter((answer) => answer === code).length;
    return {
      "idle greeted": count(spread, "220"),
      "of one address": count(crowd, "220"),
      "told 421": count(crowd, "421"),
    };
  });
}

/** The beginning of a TLS record that never goes on. */
const HALF_HELLO = Buffer.from("16030102000100", "hex");

/** Byte by byte: commands, messages, TLS handshakes; and handshakes of which nothing comes. */
export function slowloris(stage: Stage, how: { ofEach: number; seconds: number }): Promise<Beside> {
  const { submission, submissions } = stage.relay.ports;
  return beside(stage, async () => {
    const commands = await inTurns(how.ofEach, 100, async (n) => {
      const client = connectFrom(addressOf(n), submission);
      await client.reply();
      return client;
    });
    const bodies = await inTurns(how.ofEach, 50, (n) => beginMessage(addressOf(n), submission, stage.greedy));
    const hellos = await inTurns(how.ofEach, 100, async (n) => connectFrom(addressOf(n), submissions));
    for (let second = 0; second < how.seconds; second++) {
      for (const { socket } of [...commands, ...bodies]) socket.write("N");
      for (const [n, { socket }] of hellos.entries()) {
        if (n % 2 === 0 && second < HALF_HELLO.length) socket.write(HALF_HELLO.subarray(second, second + 1));
      }
      await pause(1000);
    }
    const cut = hellos.filter(({ socket }) => socket.destroyed).length;
    for (const { socket } of [...commands, ...bodies, ...hellos]) socket.destroy();
    return { "slow clients": 3 * how.ofEach, "handshakes cut off": cut };
  });
}

/** All at once, each on a connection of its own. */
export function large(stage: Stage, how: { sessions: number; bytes: number }): Promise<Beside> {
  const { submission } = stage.relay.ports;
  return beside(stage, async () => {
    const startedAt = performance.now();
    const sends = await Promise.all(
      Array.from({ length: how.sessions }, (_, n) => sendLarge(addressOf(n), submission, stage.greedy, how.bytes)),
    );
    const accepted = sends.filter(({ answer }) => answer.startsWith("250")).length;
    const seconds = Math.round((performance.now() - startedAt) / 1000);
    return { sessions: how.sessions, "MB each": Math.round(how.bytes / 1e6), accepted, seconds };
  });
}

/** Messages that grow to `bytes` and then stand still, of several accounts; others send large ones meanwhile, one by one. */
export function stalled(
  stage: Stage,
  how: { owners: readonly Tenant[]; each: number; bytes: number; others: number; patienceMs: number },
): Promise<Beside> {
  const { submission } = stage.relay.ports;
  return beside(stage, async () => {
    const holders = await inTurns(how.owners.length * how.each, 50, (n) =>
      beginMessage(addressOf(n), submission, how.owners[n % how.owners.length]!),
    );
    for (const holder of holders) void pourBytes(holder, how.bytes);
    await pause(500);
    let [through, worstMs] = [0, 0];
    for (let n = 0; n < how.others; n++) {
      const late = pause(how.patienceMs).then(() => undefined);
      const sent = await Promise.race([sendLarge("127.0.0.1", submission, stage.bystander, 1_000_000), late]);
      worstMs = Math.max(worstMs, sent?.ms ?? how.patienceMs);
      if (sent?.answer.startsWith("250")) through += 1;
    }
    const cut = holders.filter(({ socket }) => socket.destroyed).length;
    for (const { socket } of holders) socket.destroy();
    return { stalled: holders.length, "cut off": cut, "large through": through, "worst large ms": Math.round(worstMs) };
  });
}

/** From one address, as fast as it goes: the name of the one beside it, and names that nobody has. */
export function bruteForce(stage: Stage, how: { attempts: number; sessions: number }): Promise<Beside> {
  const { submission } = stage.relay.ports;
  return beside(stage, async () => {
    let left = how.attempts;
    const answers: Record<string, number> = {};
    const attack = async (own: boolean) => {
      while (left > 0) {
        const client = connectFrom("127.0.0.66", submission);
        await client.reply();
        await say(client, "EHLO guesser.example");
        let answer = "535";
        while (answer.startsWith("535") && left-- > 0) {
          const username = own ? stage.bystander.username : `u-${randomBytes(6).toString("hex")}`;
          answer = await say(client, authPlain({ username, password: randomBytes(20).toString("hex") }));
          const code = answer.slice(0, 3) || "closed";
          answers[code] = (answers[code] ?? 0) + 1;
        }
        client.socket.destroy();
      }
    };
    const startedAt = performance.now();
    await Promise.all(Array.from({ length: how.sessions }, (_, n) => attack(n % 2 === 0)));
    const seconds = (performance.now() - startedAt) / 1000;
    return {
      "refused 535": answers["535"] ?? 0,
      "locked 421": answers["421"] ?? 0,
      "let in": answers["235"] ?? 0,
      "attempts per s": Math.round(how.attempts / seconds),
    };
  });
}

/** A thousand recipients in each message. The books are checked by the caller. */
export function crowds(stage: Stage, scene: Scene, how: { messages: number; sessions: number }): Promise<Beside> {
  return beside(stage, async () => {
    const load = scene.load(stage.greedy, { ...how, units: () => 1000 });
    await load.done;
    const accepted = load.seen.filter((sent) => sent.knowledge === "accepted");
    return { accepted: accepted.length, units: accepted.reduce((sum, sent) => sum + sent.recipients.length, 0) };
  });
}
