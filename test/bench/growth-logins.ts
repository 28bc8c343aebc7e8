/** People who log in beside mail: a password's hash takes a processor for a while, and never the path of a message. */
import type { Figure, Found } from "./growth-figures.ts";
import { bookProblems, type Ground, middleOf, oneRound, problemsOf } from "./growth-stage.ts";
import type { Round } from "./round.ts";
import { percentile } from "./statistics.ts";

/** How many log in at a time, each again and again; one hash is computed at a time. */
const people = 4;

export async function loginsGrowth(ground: Ground): Promise<Found> {
  await using stage = await ground.open();
  const kinds = ["alone", "beside"] as const;
  const rounds = new Map<string, Round[]>(kinds.map((kind) => [kind, []]));
  const times: number[] = [];
  await oneRound(ground, { name: "warm", stage });
  for (let n = 0; n < ground.options.rounds; n++) {
    for (const kind of n % 2 === 0 ? kinds : kinds.toReversed()) {
      ground.say(kind === "alone" ? "mail alone" : "mail beside log-ins");
      const ended = new AbortController();
      const crowd = kind === "alone" ? [] : Array.from({ length: people }, (_, who) => knock(stage.relay.api.url, who));
      const knocking = crowd.map((next) => repeat(next, ended.signal, times));
      rounds.get(kind)!.push(await oneRound(ground, { name: kind, stage }));
      ended.abort();
      await Promise.all(knocking);
    }
  }
  const rate = (kind: string): number => middleOf(rounds.get(kind), (round) => round.deliveredPerSecond);
  times.sort((a, b) => a - b);
  const perSecond = times.length / (ground.options.rounds * ground.options.seconds);
  const figures: Figure[] = [
    {
      what: `delivered beside ${people} who log in without end, over nobody`,
      seen: rate("beside") / rate("alone"),
      unit: "x",
      goal: null,
      note: `${rate("beside").toFixed(0)} and ${rate("alone").toFixed(0)}/s; ${perSecond.toFixed(1)} log-ins/s`,
    },
    { what: "p50 of a log-in beside mail", seen: percentile(times, 50), unit: "ms", goal: null },
  ];
  return { figures, curves: [], problems: [...problemsOf(rounds), ...(await bookProblems("logins", stage))] };
}

/** A stranger's address each time: the hash costs the same as a known one's, and nobody is locked out. */
function knock(apiUrl: string, who: number): () => Promise<void> {
  const url = new URL("/login", apiUrl);
  let n = 0;
  return async () => {
    const body = JSON.stringify({ email: `nobody-${who}-${++n}@bench.example`, password: "not the password" });
    const response = await fetch(url, { method: "POST", headers: { "content-type": "application/json" }, body });
    const text = await response.text();
    if (response.status !== 401) throw new Error(`/login answered ${response.status}: ${text.slice(0, 300)}`);
  };
}

async function repeat(knockOnce: () => Promise<void>, signal: AbortSignal, times: number[]): Promise<void> {
  while (!signal.aborted) {
    const started = performance.now();
    await knockOnce();
    times.push(performance.now() - started);
  }
}
