/**
 * Outcomes on their way into the spool: gathered for a moment, then written in groups.
 *
 * Invariant: what was added is written, or known to be in other hands, before it is let go.
 * On failure: while the spool can't be reached all is kept and tried again. A result that the spool refuses by itself is
 * tried alone, then without the peer's words, so that one odd reply can't hold up the others.
 */
import { formatId } from "../platform/ids.ts";
import type { Log } from "../platform/log.ts";
import { isOutage } from "../platform/outage.ts";
import type { Result } from "../spool/message.ts";

export type SettlementOptions = Readonly<{
  settle(results: readonly Result[]): Promise<readonly boolean[]>;
  gatherMs: number;
  log: Log;
}>;

/** Called once: `held` false when someone else has the message now, or it could not be written. */
export type Settled = (held: boolean) => void;

export type Settlement = Readonly<{
  add(result: Result, settled: Settled): void;
  waiting(): number;
  /** The spool can't be reached: outcomes of mail that is delivered are not written yet. */
  stalled(): boolean;
  /** Resolves when nothing waits, at the latest after `ms`. */
  idle(ms: number): Promise<void>;
}>;

type Entry = Readonly<{ result: Result; settled: Settled }>;

const GROUP = 256;
const AT_ONCE = 2;
const PAUSE_MS = 500;

export function createSettlement({ settle, gatherMs, log }: SettlementOptions): Settlement {
  const waiting: Entry[] = [];
  let idlers: (() => void)[] = [];
  let running = 0;
  let timer: NodeJS.Timeout | undefined;
  let stalled = false;

  function pump(): void {
    clearTimeout(timer);
    timer = undefined;
    while (running < AT_ONCE && waiting.length > 0) {
      running += 1;
      void write(waiting.splice(0, GROUP)).finally(() => {
        running -= 1;
        if (waiting.length >= GROUP || idlers.length > 0) pump();
        else if (waiting.length > 0) timer ??= setTimeout(pump, gatherMs);
        if (running + waiting.length === 0) wake();
      });
    }
  }

  function wake(): void {
    for (const resolve of idlers) resolve();
    idlers = [];
  }

  async function tryToSettle(results: readonly Result[]): Promise<readonly boolean[]> {
    const held = await settle(results);
    stalled = false;
    return held;
  }

  async function write(entries: Entry[]): Promise<void> {
    const held = await tryToSettle(entries.map(({ result }) => result)).catch((error: unknown) =>
      refused(entries, error),
    );
    if (held !== undefined) for (const [i, { settled }] of entries.entries()) settled(held[i] === true);
  }

  async function refused(entries: Entry[], error: unknown): Promise<undefined> {
    if (isOutage(error)) await later(entries, error);
    else if (entries.length > 1) for (const entry of entries) await write([entry]);
    else await writePlain(entries[0] as Entry, error);
  }

  async function later(entries: Entry[], error: unknown): Promise<void> {
    log.warn({ event: "settle.waits", results: entries.length, err: error }, "outcomes could not be written yet");
    stalled = true;
    await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
    waiting.push(...entries);
  }

  async function writePlain(entry: Entry, error: unknown): Promise<void> {
    const { result, settled } = entry;
    const message = formatId("msg", result.task.id);
    log.error({ event: "settle.refused", err: error, message_id: message }, "an outcome was refused");
    const recipients = result.recipients.map((r) => ({ ...r, attempt: { ...r.attempt, reply: "" } }));
    const plain = { ...result, recipients };
    try {
      const held = await tryToSettle([plain]).catch((refused: unknown) => {
        if (isOutage(refused) || plain.dsn === null) throw refused;
        log.error(
          { event: "dsn.refused", err: refused, message_id: message },
          "the report was refused: its sender is not told",
        );
        return tryToSettle([{ ...plain, dsn: null }]);
      });
      settled(held[0] === true);
    } catch (again) {
      if (isOutage(again)) await later([entry], again);
      else settled(false);
    }
  }

  return {
    add(result, settled) {
      waiting.push({ result, settled });
      if (waiting.length >= GROUP) pump();
      else timer ??= setTimeout(pump, gatherMs);
    },
    waiting: () => waiting.length,
    stalled: () => stalled,
    idle(ms) {
      if (running + waiting.length === 0) return Promise.resolve();
      return new Promise((resolve) => {
        const late = setTimeout(resolve, ms);
        idlers.push(() => {
          clearTimeout(late);
          resolve();
        });
        pump();
      });
    },
  };
}
