/** A relay that is killed, all its processes at once, at random moments under load, and started again. */
import { setTimeout as sleep } from "node:timers/promises";
import { openScene } from "../journeys/scene.ts";
import { createTenant, type Relay } from "../support/relay.ts";
import { copiesAgainstRecords, fatesOf, keepingTime, killAll } from "./crash-kill.ts";
import { createDice } from "./dice.ts";

export type Kills = Readonly<{ kills: number; processes: number; seed: number }>;

/** What was done and seen, and what is wrong: none, if the promises hold. */
export async function killAtRandom({ kills, processes, seed }: Kills) {
  const dice = createDice(seed);
  const moods = createDice(seed + 1);
  const { script, copies } = keepingTime({
    rcpt(line) {
      if (line.includes("<reader3@")) return "550 5.1.1 Nobody here";
      return moods.below(30) === 0 ? "451 4.2.0 Later" : undefined;
    },
  });
  const scene = await openScene({ script, env: { POSTMETER_PROCESSES: String(processes) } });
  const tenants = [
    await createTenant(scene.relay, { limit: null }),
    await createTenant(scene.relay, { limit: 40 * kills }),
  ];
  let relay: Relay | undefined = scene.relay;
  const ports = () => (relay === undefined ? [] : [relay.ports.submission]);
  const loads = tenants.map((one) => scene.load(one, { ports, sessions: 10, units: (n) => 1 + (n % 4), pauseMs: 10 }));
  for (let n = 1; n <= kills; n++) {
    await loads[0]!.more(10 + dice.below(60), "accepted");
    await sleep(dice.below(40));
    const killed: Relay = relay;
    relay = undefined;
    await killAll(killed);
    relay = await scene.startAgain();
    if (n % 5 === 0) console.log(`  ${n} of ${kills} kills`);
  }
  await loads[0]!.more(20, "accepted");
  await Promise.all(loads.map((load) => load.stop()));
  await scene.letLeasesLapse();
  const { faults, ...sums } = await scene.check({ through: relay });
  const seen = loads.flatMap((load) => load.seen).filter((s) => s.knowledge !== "unsent");
  const known = (what: string) => seen.filter((s) => s.knowledge === what).length;
  return {
    faults: [...faults, ...(await copiesAgainstRecords(scene.database, copies))],
    figures: {
      kills,
      messages: seen.length,
      acknowledged: known("accepted"),
      refused: known("refused"),
      unanswered: known("unknown"),
      "of these stored": sums.inDoubt,
      ...(await fatesOf(scene.database)),
      duplicates: sums.duplicates,
    },
  };
}
