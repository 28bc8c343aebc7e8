/** How long AUTH takes with a wrong password, for a user name that there is and for one that there is not, in turns. */
import { performance } from "node:perf_hooks";
import { createTenant, type Relay } from "../support/relay.ts";
import type { Dice } from "./dice.ts";
import { authPlain, connectFrom, say } from "./greed-clients.ts";

export type Timing = Readonly<{ known: readonly number[]; unknown: readonly number[] }>;

/** Milliseconds of each answer. A coin says who of a pair comes first; each attempt has a client address of its own, so that none is locked out. */
export async function timeLogIns(relay: Relay, pairs: number, dice: Dice): Promise<Timing> {
  const tenant = await createTenant(relay);
  const timing = { known: [] as number[], unknown: [] as number[] };
  const password = "wrong".padEnd(tenant.password.length, "x");
  const warmUp = Math.ceil(pairs / 10);
  for (let i = -warmUp; i < pairs; i++) {
    const kinds = dice.below(2) === 0 ? (["known", "unknown"] as const) : (["unknown", "known"] as const);
    for (const [k, kind] of kinds.entries()) {
      const n = 2 * (i + warmUp) + k;
      const username = kind === "known" ? tenant.username : tenant.username.replace(/.{4}$/, "aaaa");
      const ms = await timeOne(relay, `127.1.${n >> 8}.${n & 255}`, { username, password });
      if (i >= 0) timing[kind].push(ms);
    }
  }
  return timing;
}

async function timeOne({ ports }: Relay, from: string, login: Readonly<{ username: string; password: string }>) {
  const client = connectFrom(from, ports.submission);
  await client.reply();
  await say(client, "EHLO client.example");
  const line = authPlain(login);
  const startedAtMs = performance.now();
  const answer = await say(client, line);
  const ms = performance.now() - startedAtMs;
  client.socket.destroy();
  if (!answer.startsWith("535")) throw new Error(answer);
  return ms;
}

export type Judgement = Readonly<{
  /** Microseconds, as `known` and `unknown` have them. */
  medians: readonly [number, number];
  quartiles: readonly [number, number, number, number];
  /** The medians, in hundredths of the smaller one. */
  apartPercent: number;
  /** In how many of a hundred pairs the known name took longer: 50 where nothing can be told. */
  longerPercent: number;
  /** How far that is from 50, in standard deviations of what chance gives (Mann-Whitney). */
  deviations: number;
}>;

/** Medians and ranks, and not means: a machine that is busy makes a few answers very late. */
export function judge({ known, unknown }: Timing): Judgement {
  const [n, m] = [known.length, unknown.length];
  let longer = 0;
  for (const a of known) for (const b of unknown) longer += a > b ? 1 : a === b ? 0.5 : 0;
  const sd = Math.sqrt((n * m * (n + m + 1)) / 12);
  const at = (values: readonly number[], part: number) =>
    Math.round(1000 * ([...values].sort((a, b) => a - b)[Math.floor(part * values.length)] ?? 0));
  const medians = [at(known, 0.5), at(unknown, 0.5)] as const;
  return {
    medians,
    quartiles: [at(known, 0.25), at(known, 0.75), at(unknown, 0.25), at(unknown, 0.75)],
    apartPercent: Math.round((1000 * Math.abs(medians[0] - medians[1])) / Math.min(...medians)) / 10,
    longerPercent: Math.round((1000 * longer) / (n * m)) / 10,
    deviations: Math.round((10 * Math.abs(longer - (n * m) / 2)) / sd) / 10,
  };
}

export const figuresOf = ({ medians, quartiles, apartPercent, longerPercent, deviations }: Judgement) => ({
  "known, median us": medians[0],
  "unknown, median us": medians[1],
  "known, lower quartile": quartiles[0],
  "known, upper quartile": quartiles[1],
  "unknown, lower quartile": quartiles[2],
  "unknown, upper quartile": quartiles[3],
  "medians apart in %": apartPercent,
  "known took longer in %": longerPercent,
  deviations,
});
