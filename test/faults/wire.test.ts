/** What clients may put on the wire, in numbers for seconds; `npm run faults -- --only wire` has more, and the controls. */
import { beforeAll, expect, test, vi } from "vitest";
import { aftermath, openStage, rawFaults, type Stage, smuggle, smugglers } from "./wire.ts";
import { hostile, injectEverywhere } from "./wire-logs.ts";
import { askByHttp, err, longLines, resetEverywhere, settled, storedNow, talkEarly } from "./wire-probes.ts";

vi.setConfig({ testTimeout: 180_000, hookTimeout: 120_000 });

let stage: Stage;
beforeAll(async () => {
  stage = await openStage();
});

test("one message is one message upstream, whatever it holds that some server takes for an end", async () => {
  const few = smugglers().filter((_, n) => n % 3 !== 1);
  expect((await smuggle(stage, few)).faults).toEqual([]);
});

test("long lines leave whole, and a long command is no command", async () => {
  const before = await storedNow(stage);
  const { accepted, faults } = await longLines(stage, 100_000);
  expect(faults).toEqual([]);
  expect(await aftermath(stage, before + accepted)).toEqual([]);
});

test("who speaks before the greeting, speaks HTTP or errs a thousand times gets nothing stored that was not promised", async () => {
  const before = await storedNow(stage);
  const early = await talkEarly(stage);
  const http = await askByHttp(stage);
  const errors = [await err(stage, "FOO", 12), await err(stage, "MAIL FROM:<none>", 32), await err(stage, "DATA", 32)];
  expect([...early.faults, ...http.faults, ...errors.flat()]).toEqual([]);
  expect(await aftermath(stage, before + early.accepted)).toEqual([]);
});

test("a connection reset after any command leaves nothing half done, and the next client is served", async () => {
  const before = await storedNow(stage);
  const { perhaps } = await resetEverywhere(stage, 1);
  const stored = await settled(stage);
  expect(stored - before).toBeLessThanOrEqual(perhaps);
  expect(await aftermath(stage, stored)).toEqual([]);
  expect(rawFaults(stage.upstream.bytes())).toEqual([]);
});

test("no text of a client or of the upstream becomes a log line or a header field", async () => {
  const other = await openStage({ answers: hostile });
  const { lines, faults } = await injectEverywhere(other);
  expect(faults).toEqual([]);
  expect(lines).toBeGreaterThan(20);
  expect(other.upstream.taken.length).toBeGreaterThan(5);
});
