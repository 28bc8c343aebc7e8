/** Nodes behind one address that are restarted one after the other, under load. */
import { startBalancer } from "../support/balancer.ts";
import { createTenant, type Relay } from "../support/relay.ts";
import type { Sent } from "../support/sessions.ts";
import { openScene } from "./scene.ts";

/** What a client would show as an error: all but a 250, and a 421 in place of the answer to MAIL, between two messages. */
export const errorsOf = (seen: readonly Sent[]): string[] =>
  seen
    .filter(({ knowledge, reply, begun }) => knowledge !== "accepted" && (begun || !reply.startsWith("421")))
    .map(({ marker, begun, knowledge, reply }) => `${marker}, ${begun ? "begun, " : ""}${knowledge}: ${reply}`);

/** Both of two nodes, so many times. */
export async function restartInTurn(rounds: number) {
  const scene = await openScene();
  const tenant = await createTenant(scene.relay, { limit: null });
  let nodes: Relay[] = [scene.relay, await scene.startAgain()];
  const balancer = await startBalancer(() => nodes.map(({ ports }) => ports.submission));
  const load = scene.load(tenant, { ports: () => [balancer.port], sessions: 12, pauseMs: 5 });
  await load.more(100, "accepted");
  const faults: string[] = [];
  for (let round = 1; round <= rounds; round++) {
    for (const old of [...nodes]) {
      nodes = [...nodes.filter((node) => node !== old), await scene.startAgain()];
      const code = await old.stop();
      if (code !== 0) faults.push(`a node ended with ${code}`);
      await load.more(100, "accepted");
    }
  }
  const seen = await load.stop();
  faults.push(...errorsOf(seen));
  if (balancer.turnedAway() > 0) faults.push(`${balancer.turnedAway()} connections found no node`);
  const audit = await scene.check({ through: nodes[0] as Relay });
  faults.push(...audit.faults);
  if (audit.duplicates + audit.inDoubt > 0)
    faults.push(`${audit.duplicates} copies twice, ${audit.inDoubt} unanswered and stored`);
  const accepted = seen.filter(({ knowledge }) => knowledge === "accepted").length;
  const figures = { restarts: 2 * rounds, acknowledged: accepted, "told 421 between two": seen.length - accepted };
  return { faults, figures };
}
