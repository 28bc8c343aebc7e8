/**
 * A refusal is cheap: how many a process gives in a second, and what a subaccount that hammers at its limit in fifty
 * sessions costs the others. Here the hammering clients use the same processors as the relay, so the same hammering of a
 * stub stands beside it: what is left is the relay's own cost.
 */
import { setTimeout as sleep } from "node:timers/promises";
import type { Figure, Found } from "./growth-figures.ts";
import { type Hammer, type HammerOrder, startHammer } from "./growth-hammer.ts";
import {
  bookProblems,
  changeSubaccount,
  type Ground,
  middleOf,
  oneRound,
  problemsOf,
  type Stage,
} from "./growth-stage.ts";
import type { Round } from "./round.ts";
import { median } from "./statistics.ts";

const sessions = 50;

export async function refusalsGrowth(ground: Ground): Promise<Found> {
  await using stage = await ground.open({ subaccounts: 2 });
  await using hammer = await startHammer();
  await changeSubaccount(stage, 1, { monthly_limit: 0 }); // what the API does when a customer is to stop
  const login = stage.relay.logins[1]!;
  const order = { port: stage.relay.ports.off!, login, sessions, seconds: ground.options.seconds, atOnce: 1 };
  const figures: Figure[] = [];
  const told = { least: 0, most: 0 };
  const counting: Hammer["run"] = async (given) => {
    const seen = await hammer.run(given);
    if (given.port !== stage.relay.ports.off!) return seen;
    told.least += seen.refused;
    told.most += seen.refused + (seen.reconnects + given.sessions) * given.atOnce; // answers that nobody read
    return seen;
  };
  for (const atOnce of [1, 20]) {
    ground.say(`refusals alone, ${atOnce} at once`);
    figures.push(...(await alone({ ...hammer, run: counting }, { ...order, atOnce }, ground.options.rounds)));
  }
  const beside = await besideOthers(ground, stage, { ...hammer, run: counting }, order);
  figures.push(...beside.figures);
  await sleep(3000); // they are written each second
  const refusals = await counted(stage);
  figures.push({ what: "refusals counted in the account's list", seen: refusals, unit: "", goal: null });
  const miscounted = refusals < told.least || refusals > told.most;
  const problems = miscounted ? [`${refusals} refusals are listed, ${told.least} were told`] : [];
  return {
    figures,
    curves: [],
    problems: [...problems, ...beside.problems, ...(await bookProblems("refusals", stage))],
  };
}

async function alone(hammer: Hammer, order: HammerOrder, rounds: number): Promise<Figure[]> {
  const rates = { relay: [] as number[], stub: [] as number[] };
  let strange = 0;
  for (let n = 0; n < rounds; n++) {
    const own = await hammer.run(order);
    const stub = await hammer.run({ ...order, port: hammer.stubPort });
    rates.relay.push(own.refused / own.seconds);
    rates.stub.push(stub.refused / stub.seconds);
    strange += own.others;
  }
  const how = order.atOnce === 1 ? "each waits for its answer" : `${order.atOnce} in one write`;
  const note = `the stub gives ${median(rates.stub).toFixed(0)}/s; ${strange} other answers (a connection's end)`;
  return [
    { what: `refusals by one process, ${how}`, seen: median(rates.relay), unit: "/s", goal: { atLeast: 10_000 }, note },
  ];
}

type Kind = "alone" | "stub" | "hammered";

async function besideOthers(ground: Ground, stage: Stage, hammer: Hammer, order: HammerOrder): Promise<Found> {
  const kinds: readonly Kind[] = ["alone", "stub", "hammered"];
  const rounds = new Map<string, Round[]>(kinds.map((kind) => [kind, []]));
  const hammered: number[] = [];
  for (let n = 0; n < ground.options.rounds; n++) {
    for (let k = 0; k < kinds.length; k++) {
      const kind = kinds[(n + k) % kinds.length]!;
      ground.say(`others' rate: ${kind}`);
      const port = kind === "stub" ? hammer.stubPort : order.port;
      const beside = kind === "alone" ? undefined : hammer.run({ ...order, port, seconds: order.seconds + 1 });
      rounds.get(kind)!.push(await oneRound(ground, { name: kind, stage, logins: stage.relay.logins.slice(0, 1) }));
      const seen = await beside;
      if (kind === "hammered" && seen !== undefined) hammered.push(seen.refused / seen.seconds);
    }
  }
  const rate = (kind: Kind): number => middleOf(rounds.get(kind), (round) => round.deliveredPerSecond);
  const note = `${rate("hammered").toFixed(0)}, ${rate("stub").toFixed(0)} and ${rate("alone").toFixed(0)}/s (hammered, stub, alone); ${median(hammered).toFixed(0)} refusals/s`;
  return {
    figures: [
      {
        what: "others' rate beside 50 hammering sessions, over the same sessions at a stub",
        seen: rate("hammered") / rate("stub"),
        unit: "x",
        goal: { atLeast: 0.9 },
        note,
      },
      { what: "and over nobody hammering", seen: rate("hammered") / rate("alone"), unit: "x", goal: null },
    ],
    curves: [],
    problems: problemsOf(rounds),
  };
}

async function counted({ pool, subaccountIds }: Stage): Promise<number> {
  const { rows } = await pool.query<{ n: string }>(
    "select coalesce(sum(messages), 0) as n from refusal where subaccount_id = $1",
    [subaccountIds[1]],
  );
  return Number(rows[0]!.n);
}
