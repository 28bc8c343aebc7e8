/** A queue of a million: does it slow acceptance down, or the claim, and how fast does its due part drain? */
import type { Pool } from "pg";
import { drained } from "./growth-drain.ts";
import type { Figure, Found } from "./growth-figures.ts";
import { prepare } from "./growth-seed.ts";
import { hold, release, seedBacklog, settleDown } from "./growth-seed-backlog.ts";
import { alternate, bookProblems, type Ground, middleOf, problemsOf, type Stage } from "./growth-stage.ts";
import { percentile } from "./statistics.ts";

/** Of the backlog, a tenth is due once its hold ends; the rest is due tomorrow. */
const dueShare = 0.1;
const waitingBytes = 1024;
const dueBytes = 4096;

export async function backlogGrowth(ground: Ground): Promise<Found> {
  const { say } = ground;
  await using small = await ground.open({ subaccounts: 3 });
  await using grown = await ground.open({ subaccounts: 3 });
  await prepare(grown.pool);
  const [, waiting, stuck] = grown.subaccountIds;
  await hold(grown.pool, stuck!);
  const claims = await fill(ground, grown, waiting!, stuck!);
  await settleDown(grown.pool, say);
  say("alternating rounds");
  const logins = [small, grown].map(({ relay }) => relay.logins.slice(0, 1));
  const sides = await alternate(ground, [
    { name: "small", stage: small, logins: logins[0]! },
    { name: "grown", stage: grown, logins: logins[1]! },
  ]);
  say("draining what is due");
  const drain = await drained(ground.sink, claims.run, claims.due, () => release(grown.pool, stuck!));
  const fresh = middleOf(sides.get("grown"), (round) => round.deliveredPerSecond);
  const accepted = (name: string): number => middleOf(sides.get(name), (round) => round.acceptedPerSecond);
  const p99 = (name: string): number => middleOf(sides.get(name), (round) => round.mail.p99);
  const [first, last] = [claims.points[0]!, claims.points.at(-1)!];
  const name = `before ${ground.options.backlog.toLocaleString("en-US")}`;
  const figures: Figure[] = [
    {
      what: `acceptance ${name}, over an empty queue`,
      seen: accepted("grown") / accepted("small"),
      unit: "x",
      goal: { atLeast: 0.9 },
      note: `${accepted("grown").toFixed(0)} and ${accepted("small").toFixed(0)}/s; p99 ${p99("grown").toFixed(1)} and ${p99("small").toFixed(1)} ms`,
    },
    {
      what: `claim of 512 ${name}, over ${first[0].toLocaleString("en-US")}`,
      seen: last[1] / first[1],
      unit: "x",
      goal: { atMost: 1.2 },
      note: `${last[1].toFixed(1)} and ${first[1].toFixed(1)} ms, medians`,
    },
    {
      what: "drain of the due part, over fresh delivery",
      seen: drain.perSecond / fresh,
      unit: "x",
      goal: { atLeast: 0.8 },
      note: `${drain.perSecond.toFixed(0)} and ${fresh.toFixed(0)}/s`,
    },
  ];
  const books = [...(await bookProblems("grown", grown)), ...(await bookProblems("small", small))];
  const curves = [
    {
      title: "A claim",
      x: "messages in the queue",
      unit: "ms",
      lines: [{ name: "512 messages", points: claims.points }],
    },
  ];
  return { figures, curves, problems: [...problemsOf(sides), ...drain.problems, ...books] };
}

type Claims = Readonly<{ points: readonly (readonly [number, number])[]; run: number; due: number }>;

/** The due part first, so that each size has something to claim. */
async function fill(ground: Ground, stage: Stage, waiting: string, stuck: string): Promise<Claims> {
  const { say, options } = ground;
  const { masterId, pool } = stage;
  const run = ground.nextRun();
  const due = Math.ceil(options.backlog * dueShare);
  const points: [number, number][] = [];
  const seeded = { masterId, subaccountId: stuck, run, count: due, sizeBytes: dueBytes, due: "now" } as const;
  await seedBacklog(pool, seeded, say);
  points.push([due, await claimMs(pool, stuck)]);
  let exist = due;
  for (const upTo of [0.3, 1].map((share) => Math.floor(options.backlog * share))) {
    const more = {
      masterId,
      subaccountId: waiting,
      run: ground.nextRun(),
      count: upTo - exist,
      due: "tomorrow",
    } as const;
    await seedBacklog(pool, { ...more, sizeBytes: waitingBytes }, say);
    exist = upTo;
    points.push([exist, await claimMs(pool, stuck)]);
  }
  return { points, run, due };
}

/** The median of claims that are taken back; the hold ends for them alone. */
async function claimMs(pool: Pool, stuck: string): Promise<number> {
  const client = await pool.connect();
  const times: number[] = [];
  try {
    for (let n = 0; n < 20; n++) {
      await client.query("begin");
      await client.query("delete from hold where subaccount_id = $1", [stuck]);
      const started = performance.now();
      await client.query(
        "select id from claim_batch('00000000-0000-0000-0000-000000000000', 512, 512, 512, -1, '1 minute')",
      );
      times.push(performance.now() - started);
      await client.query("rollback");
    }
  } finally {
    client.release();
  }
  return percentile(
    times.toSorted((a, b) => a - b),
    50,
  );
}
