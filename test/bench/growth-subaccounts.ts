/**
 * Delivered rate and p99 while more and more accounts exist. A second relay that never grows plays in the same rounds, so
 * that the ratio tells of the growth and not of the machine's mood.
 */
import type { Figure, Found } from "./growth-figures.ts";
import { prepare, seededLogins, seedMasters, seedSubaccounts } from "./growth-seed.ts";
import { alternate, bookProblems, type Ground, middleOf, problemsOf, type Side, type Sides } from "./growth-stage.ts";
import type { Round } from "./round.ts";

const crowd = 100; // sessions, each of another account

export async function subaccountsGrowth(ground: Ground): Promise<Found> {
  const { say } = ground;
  await using small = await ground.open();
  await using grown = await ground.open();
  await prepare(grown.pool);
  const figures: Figure[] = [];
  const problems: string[] = [];
  const lines = { one: [] as [number, number][], many: [] as [number, number][], few: [] as [number, number][] };
  const measure = async (name: string, count: number, many: Side): Promise<void> => {
    say(`${name}: rounds`);
    const base: Side = { name: "small", stage: small };
    const sides = await alternate(ground, [
      base,
      { name: "one", stage: grown },
      { ...base, name: "small, many", sessions: crowd },
      { ...many, name: "many", sessions: crowd },
    ]);
    problems.push(...problemsOf(sides).map((problem) => `${name}, ${problem}`));
    figures.push(...compared(name, "one sender", sides, "one", "small"));
    figures.push(...compared(name, `${crowd} sessions of many senders`, sides, "many", "small, many"));
    lines.few.push([count, rate(sides.get("small"))]);
    lines.one.push([count, rate(sides.get("one"))]);
    lines.many.push([count, rate(sides.get("many"))]);
  };

  let exist = 0;
  for (const count of ground.options.subaccounts) {
    await seedSubaccounts(grown.pool, grown.masterId, exist + 1, count, say);
    exist = Math.max(exist, count);
    const logins = seededLogins("seeded", count, Math.min(crowd, count));
    await measure(`${count.toLocaleString("en-US")} subaccounts`, count, { name: "many", stage: grown, logins });
  }
  const { masters } = ground.options;
  await seedMasters(grown.pool, masters, say);
  const logins = seededLogins("reseller", masters, Math.min(crowd, masters));
  const name = `and ${masters.toLocaleString("en-US")} masters`;
  await measure(name, exist + masters, { name: "many", stage: grown, logins });
  problems.push(...(await bookProblems("grown", grown)), ...(await bookProblems("small", small)));
  return {
    figures,
    curves: [
      {
        title: "Delivered per second while so many accounts exist",
        x: "accounts",
        unit: "/s",
        lines: [
          { name: "one sender", points: lines.one },
          { name: `${crowd} senders`, points: lines.many },
          { name: "a relay with one account, in the same rounds", points: lines.few },
        ],
      },
    ],
    problems,
  };
}

const rate = (rounds: readonly Round[] | undefined): number => middleOf(rounds, (round) => round.deliveredPerSecond);
const p99 = (rounds: readonly Round[] | undefined): number => middleOf(rounds, (round) => round.mail.p99);

function compared(existing: string, who: string, sides: Sides, own: string, base: string): Figure[] {
  const [mine, theirs] = [sides.get(own), sides.get(base)];
  const note = `${Math.round(rate(mine)).toLocaleString("en-US")}/s and ${Math.round(rate(theirs)).toLocaleString("en-US")}/s`;
  return [
    {
      what: `${existing}: rate of ${who}, over a relay of one account`,
      seen: rate(mine) / rate(theirs),
      unit: "x",
      goal: { atLeast: 0.9 },
      note,
    },
    {
      what: `${existing}: p99 of ${who}, over the same`,
      seen: p99(mine) / p99(theirs),
      unit: "x",
      goal: null,
      note: `${p99(mine).toFixed(1)} and ${p99(theirs).toFixed(1)} ms`,
    },
  ];
}
