/** What each further process on this machine adds, where generator, sink, PostgreSQL and Redis share its processors. */
import type { Figure, Found } from "./growth-figures.ts";
import { alternate, bookProblems, type Ground, middleOf, problemsOf, type Side } from "./growth-stage.ts";

export async function processesGrowth(ground: Ground): Promise<Found> {
  await using opened = new AsyncDisposableStack();
  const sides: Side[] = [];
  for (const processes of ground.options.processes) {
    ground.say(`a relay of ${processes} process(es)`);
    sides.push({ name: String(processes), stage: opened.use(await ground.open({ processes, subaccounts: 4 })) });
  }
  ground.say("alternating rounds");
  const rounds = await alternate(ground, sides);
  const rate = (name: string): number => middleOf(rounds.get(name), (round) => round.deliveredPerSecond);
  const first = sides[0]!.name;
  const figures = sides.flatMap(({ name }): Figure[] => {
    const cpu = middleOf(rounds.get(name), (round) =>
      Object.values(round.cpuPerThousand).reduce((sum, one) => sum + one, 0),
    );
    return [
      { what: `delivered with ${name} process(es)`, seen: rate(name), unit: "/s", goal: null },
      { what: `p99 MAIL to 250, ${name}`, seen: middleOf(rounds.get(name), (r) => r.mail.p99), unit: "ms", goal: null },
      { what: `CPU per 1,000 messages, ${name}`, seen: cpu, unit: "s", goal: null },
      ...(name === first ? [] : [ratio(`${name} processes over ${first}`, rate(name) / rate(first))]),
    ];
  });
  const books = await Promise.all(sides.map(({ name, stage }) => bookProblems(`${name} process(es)`, stage)));
  const points = sides.map(({ name }) => [Number(name), rate(name)] as const);
  return {
    figures,
    curves: [{ title: "Delivered per second", x: "processes", unit: "/s", lines: [{ name: "delivered", points }] }],
    problems: [...problemsOf(rounds), ...books.flat()],
  };
}

function ratio(what: string, seen: number): Figure {
  return { what, seen, unit: "x", goal: null };
}
