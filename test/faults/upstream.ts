/** An upstream in every mood, under load: at each stage it may say or do whatever upstream-table.ts has, but for what hangs. */
import { openScene } from "../journeys/scene.ts";
import { markerOf, receivedBy } from "../support/arrivals.ts";
import { createTenant } from "../support/relay.ts";
import type { Said, Script } from "../support/upstream.ts";
import { copiesAgainstRecords, fatesOf, keepingTime } from "./crash-kill.ts";
import { createDice } from "./dice.ts";
import { behaviours } from "./upstream-table.ts";

export type Moods = Readonly<{ messages: number; seed: number; program?: string }>;

/** One of so many commands is answered strangely; what ends or refuses a whole session is rarer, or none would get far. */
const ODDS = { rcpt: 15, mail: 40, data: 40, end: 15, helo: 60, rset: 20 } as const;
/** Behind one of these nobody can tell which reply belongs to which command: a later yes is not believed. */
const NO_REPLY = new Set([
  "no code",
  "a code of no class",
  "a code of two digits",
  "lines of different codes",
  "a line of 1 MB",
]);
/** A reset may take along the yes that went before it: the next message is announced behind the final dot. */
const ABRUPT = new Set(["the end (RST)", "the end at once"]);
const moods = Object.entries(behaviours).filter(([, { hangs }]) => !hangs);

/** What was done and seen, and what is wrong. */
export async function playMoods({ messages, seed, program }: Moods) {
  const dice = createDice(seed);
  const shown = new Set<string>();
  /** Messages that it may have taken without a clear yes: that they come again, or are refused then, is no fault. */
  const unclear = new Set<string>();
  let strange = 0;
  const last = new Map<number, string>(); // messages by their connection
  const muddled = new Set<number>(); // connections on which something was no reply, since their last message
  const mood = (stage: keyof typeof ODDS, connection = 0): Said | undefined => {
    if (dice.below(ODDS[stage]) > 0) return undefined;
    const [name, { said }] = dice.oneOf(moods);
    strange += 1;
    shown.add(`${name} at ${stage}`);
    if (NO_REPLY.has(name)) muddled.add(connection);
    if (ABRUPT.has(name)) unclear.add(last.get(connection) ?? "");
    return said;
  };
  const whole: Script = {
    helo: (_, __, connection) => mood("helo", connection),
    mail: (_, __, connection) => mood("mail", connection),
    rcpt: (_, __, connection) => mood("rcpt", connection),
    data: (_, __, connection) => mood("data", connection),
    end({ bytes, connection }) {
      const marker = markerOf(bytes) ?? "";
      last.set(connection, marker);
      const said = mood("end", connection);
      const strangeYes = typeof said === "string" && said.startsWith("2");
      if (strangeYes || muddled.delete(connection)) unclear.add(marker);
      return said;
    },
    rset: (_, __, connection) => mood("rset", connection),
    pieces: (reply) => (reply.length < 200 && dice.below(4) === 0 ? [...reply] : [reply]),
  };
  const { script, copies } = keepingTime(whole);
  const scene = await openScene({
    script,
    env: { POSTMETER_RETRY_SCHEDULE: "1s" },
    ...(program === undefined ? {} : { program }),
  });
  const tenant = await createTenant(scene.relay, { limit: null });
  const load = scene.load(tenant, { sessions: 10, messages, units: (n) => 1 + (n % 4) });
  await load.done;
  const { faults, units } = await scene.check({ redis: "exact", patienceMs: 10 * 60_000 });
  const fates = await fatesOf(scene.database);
  const excused = load.seen.flatMap(({ marker, messageId }) => (unclear.has(marker) && messageId ? [messageId] : []));
  const real = faults.filter((fault) => !(fault.endsWith("but arrived") && excused.some((id) => fault.startsWith(id))));
  const again = await copiesAgainstRecords(scene.database, copies);
  const twice = [...Map.groupBy(receivedBy(scene.upstream), ({ marker, recipient }) => `${marker} to ${recipient}`)]
    .filter(([, [first, ...more]]) => more.length > 0 && !unclear.has(first?.marker ?? ""))
    .map(([copy]) => `${copy} came twice, and the first answer was clear`);
  await scene.end();
  return {
    faults: [...real, ...again, ...twice],
    figures: {
      messages,
      recipients: units,
      "strange answers": strange,
      kinds: shown.size,
      ...fates,
      "unclear answers": unclear.size,
    },
  };
}
