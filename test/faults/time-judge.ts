/**
 * What must hold after a period has changed under load: whatever the nodes' clocks say, each message is charged to the one
 * period in which Postgres took it, and the statements, in JSON and CSV, say so to the unit.
 *
 * The bounds of the periods come from a table (time-zones.ts), the instants from the clients: nothing here asks the program
 * which period it would have been.
 */
import { closeDue } from "../../src/metering/close-due.ts";
import { later } from "../support/ledger.ts";
import { type Charged, type Counter, readCharged, readCounters } from "../support/ledger-rows.ts";
import { acceptedUnits, type Sent } from "../support/sessions.ts";
import { type Account, LIMIT, type Stage } from "./time-stage.ts";

/** Two ways to ask one machine's clock differ by less. */
const SLACK_MS = 50;
/** A node may answer by what the rows have said within the last second. */
const REMEMBERED_MS = 1000;
const DAY_MS = 86_400_000;

type Books = Readonly<{
  stage: Stage;
  charged: readonly Charged[];
  counters: readonly Counter[];
  seen: readonly Sent[];
  /** Where the counters were locked over the change: what was stored until they were free again. */
  stored: ReadonlySet<string> | undefined;
}>;

export async function judge(stage: Stage, stored?: ReadonlySet<string>) {
  const { scene, turn, accounts, nodes } = stage;
  const { database } = scene;
  const { faults, inDoubt } = await scene.check();
  const masters = accounts.map(({ limited }) => limited.masterId);
  const charged = await readCharged(database, masters);
  const counters = await readCounters(database, masters);
  const seen = stage.loads.flatMap(({ limited, free }) => [...limited.seen, ...free.seen]);
  const books = { stage, charged, counters, seen, stored };
  await closeSecond(stage);
  const stated = await Promise.all(accounts.map((account) => statements(account, books)));
  const clients = clientsOf(books);
  const inPeriod = (start: Date) => charged.filter((c) => c.periodStart.getTime() === start.getTime());
  const after = inPeriod(turn);
  return {
    faults: [
      ...faults,
      ...accounts.flatMap((account) => bounds(account, books)),
      ...accounts.flatMap((account) => limits(account, books)),
      ...clients.faults,
      ...refusals(books),
      ...stated.flatMap((one) => one.faults),
    ],
    figures: {
      masters: accounts.length,
      nodes: nodes.length,
      messages: seen.length,
      acknowledged: seen.filter((s) => s.knowledge === "accepted").length,
      "refused at the limit": seen.filter((s) => s.knowledge === "refused").length,
      "unanswered and stored": inDoubt,
      "before the change": charged.length - after.length,
      "after it": after.length,
      "under way at it": clients.underWay,
      ...(stored === undefined ? {} : { "of these held": clients.waited }),
      units: charged.reduce((sum, { units }) => sum + units, 0),
      statements: stated.reduce((sum, one) => sum + one.statements, 0),
    },
  };
}

/** Long after the last of the periods. */
async function closeSecond({ scene, turn, accounts }: Stage): Promise<void> {
  const end = Math.max(...accounts.map(({ calendar }) => Date.parse(calendar.until)));
  const database = await later(scene.database, end - turn.getTime() + DAY_MS);
  await closeDue(database.db, { clock: database.clock, graceMs: 0 });
  await database[Symbol.asyncDispose]();
}

const iso = (at: string | Date) => new Date(at).toISOString();
const periodsOf = ({ calendar }: Account, { turn }: Stage) => [
  { start: iso(calendar.from), end: iso(turn), name: calendar.names[0] },
  { start: iso(turn), end: iso(calendar.until), name: calendar.names[1] },
];
const titleOf = ({ calendar }: Account) =>
  `${calendar.timeZone} ${calendar.anchorDay}${calendar.moves === undefined ? "" : `, moving to ${calendar.moves.timeZone}`}`;

/** Each account has a counter for each of the two periods, with the bounds of the table, and none else. */
function bounds(account: Account, { stage, counters }: Books): string[] {
  const expected = periodsOf(account, stage).map(({ start, end }) => `${start} ${end}`);
  return [account.limited.masterId, account.limited.subaccountId, account.free.subaccountId].flatMap((id) => {
    const found = counters.filter((c) => c.account === id).map((c) => `${iso(c.periodStart)} ${iso(c.periodEnd)}`);
    return found.sort().join(", ") === expected.join(", ")
      ? []
      : [`${titleOf(account)}: periods of ${id} are ${found.join(", ")} instead of ${expected.join(", ")}`];
  });
}

/** Reached in either period, to the unit. */
function limits(account: Account, { stage, charged }: Books): string[] {
  return periodsOf(account, stage).flatMap(({ start }) => {
    const used = unitsOf(charged, account.limited.subaccountId, start);
    return used === LIMIT ? [] : [`${titleOf(account)}: ${used} of ${LIMIT} units were used from ${start}`];
  });
}

const chargedTo = (charged: readonly Charged[], subaccountId: string, start: string) =>
  charged.filter((c) => c.subaccountId === subaccountId && iso(c.periodStart) === start);

const sumOf = (rows: readonly { units: number }[]) => rows.reduce((sum, { units }) => sum + units, 0);

const unitsOf = (...told: Parameters<typeof chargedTo>) => sumOf(chargedTo(...told));

/** A client's performance.now() as an instant of the shifted clock. */
const clockOf =
  ({ scene }: Stage) =>
  (ms: number) =>
    performance.timeOrigin + ms + scene.database.clockOffsetMs;

/** Taken between its final dot and its answer: on one side of the change, or on either where it was under way. */
function clientsOf({ stage, charged, seen, stored }: Books) {
  const turnMs = stage.turn.getTime();
  const at = clockOf(stage);
  const starts = new Map(charged.map(({ marker, periodStart }) => [marker, periodStart.getTime()]));
  const isOld = ({ marker }: Sent) => (starts.get(marker) ?? turnMs) < turnMs;
  const isNew = ({ marker }: Sent) => starts.get(marker) === turnMs;
  const late = seen.filter((sent) => isOld(sent) && at(sent.dotAtMs) > turnMs + SLACK_MS);
  const early = seen.filter(
    (sent) => isNew(sent) && sent.knowledge === "accepted" && at(sent.answeredAtMs) < turnMs - SLACK_MS,
  );
  const underWay = seen.filter(
    (sent) => sent.dotAtMs > 0 && at(sent.dotAtMs) < turnMs && at(sent.answeredAtMs) >= turnMs,
  );
  const heldBack = new Set(charged.filter(({ id }) => stored?.has(id) === false).map(({ marker }) => marker));
  const waited = underWay.filter(({ marker }) => heldBack.has(marker));
  const faults = [
    ...late.map(({ marker }) => `${marker} was sent after the change, and is charged before it`),
    ...early.map(({ marker }) => `${marker} was acknowledged before the change, and is charged after it`),
    ...waited.filter(isOld).map(({ marker }) => `${marker} waited over the change, and is charged before it`),
  ];
  return { faults, underWay: underWay.length, waited: waited.length };
}

const REASONS = ["[QUOTA-SUBACCOUNT]", "Too many commands without a message"];

/** Nobody but who has a limit is refused, and he only for what he has used in the period that runs. */
function refusals({ stage, seen, stored }: Books): string[] {
  const at = clockOf(stage);
  const limited = new Set(stage.accounts.map((account) => account.limited.subaccountId));
  const ofOldPeriod = ` resets ${iso(stage.turn).slice(0, 19)}Z`;
  return seen
    .filter(({ knowledge }) => knowledge === "refused")
    .flatMap(({ marker, reply, subaccountId, begunAtMs }) => {
      if (stored !== undefined && reply.startsWith("451")) return []; // its counter could not be had in time
      if (!limited.has(subaccountId) || !REASONS.some((reason) => reply.includes(reason)))
        return [`${marker} was refused: ${reply}`];
      const isPast = at(begunAtMs) > stage.turn.getTime() + REMEMBERED_MS && reply.includes(ofOldPeriod);
      return isPast ? [`${marker} was refused for what was used before the change: ${reply}`] : [];
    });
}

type Line = Readonly<{ subaccount_id: string; messages: number; units: number }>;

/** Both of a master's statements against the ledger, and their sum against the clients' books. */
async function statements(account: Account, books: Books): Promise<{ faults: string[]; statements: number }> {
  const { stage, charged, seen } = books;
  const title = titleOf(account);
  const key = account.limited.masterKey;
  const own = [account.limited.subaccountId, account.free.subaccountId].sort();
  const ask = async (path: string) =>
    (await stage.scene.relay.call("GET", `/v1/statements${path}`, undefined, { key })) as Asked;
  const faults: string[] = [];
  for (const { start, end, name } of periodsOf(account, stage)) {
    const expected = own.map((id) => {
      const rows = chargedTo(charged, id, start);
      return `${start} ${end} ${id} ${rows.length} ${sumOf(rows)}`;
    });
    const json = (await ask(`/${name}`)).body;
    const lines: Line[] = json?.lines ?? [];
    const period = lines.length === 0 ? "" : `${iso(json.period.start)} ${iso(json.period.end)}`;
    const said = {
      JSON: lines.map((line) => `${period} ${line.subaccount_id} ${line.messages} ${line.units}`),
      CSV: csvLines((await ask(`/${name}.csv`)).text),
    };
    for (const [form, found] of Object.entries(said)) {
      const used = found.filter((line) => !line.endsWith(" 0 0")); // the master's own sending
      if (used.join() !== expected.join())
        faults.push(
          `${title}: the statement ${name} in ${form} says ${used.join(", ")}; the ledger ${expected.join(", ")}`,
        );
    }
    if (json?.units !== sumOf(lines))
      faults.push(`${title}: the statement ${name} says ${json?.units} units, its lines ${sumOf(lines)}`);
  }
  const all: { units: number }[] = (await ask("?limit=100")).body?.data ?? [];
  const mine = seen.filter(({ subaccountId }) => own.includes(subaccountId));
  const acknowledged = new Set(mine.filter((s) => s.knowledge === "accepted").map(({ marker }) => marker));
  const unanswered = charged.filter((c) => own.includes(c.subaccountId) && !acknowledged.has(c.marker));
  const told = acceptedUnits(mine) + sumOf(unanswered);
  if (sumOf(all) !== told)
    faults.push(`${title}: the statements sum up to ${sumOf(all)}, what its clients know to ${told}`);
  return { faults, statements: all.length };
}

// biome-ignore lint/suspicious/noExplicitAny: answers of the API are read by their documented members
type Asked = Readonly<{ body: any; text: string }>;

/** period_start, period_end, subaccount_id, messages and units; no name of these accounts holds a comma. */
function csvLines(text: string): string[] {
  const rows = text.trim().split("\r\n").slice(1);
  return rows.map((row) => [0, 1, 2, 7, 8].map((column) => row.split(",")[column]).join(" "));
}
