/** What limits of a minute, an hour and a day, and a reserve, cost each message of a subaccount that has them. */
import type { Found } from "./growth-figures.ts";
import { alternate, bookProblems, changeSubaccount, type Ground, middleOf, problemsOf } from "./growth-stage.ts";

const MANY = 100_000_000; // never reached here

export async function windowsGrowth(ground: Ground): Promise<Found> {
  await using stage = await ground.open({ subaccounts: 2 });
  const spans = { minute: MANY, hour: MANY, day: MANY };
  await changeSubaccount(stage, 1, { rate_limits: spans, reserve: 1000 });
  const { logins } = stage.relay;
  const rounds = await alternate(ground, [
    { name: "without", stage, logins: logins.slice(0, 1) },
    { name: "with", stage, logins: logins.slice(1, 2) },
  ]);
  const rate = (name: string): number => middleOf(rounds.get(name), (round) => round.deliveredPerSecond);
  const note = `${rate("with").toFixed(0)} and ${rate("without").toFixed(0)}/s`;
  const seen = rate("with") / rate("without");
  return {
    figures: [{ what: "three windows and a reserve, over none", seen, unit: "x", goal: { atLeast: 0.95 }, note }],
    curves: [],
    problems: [...problemsOf(rounds), ...(await bookProblems("windows", stage))],
  };
}
