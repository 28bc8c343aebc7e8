/** The wire: smuggled messages, resets after each command, HTTP, errors, long lines, hostile texts; and what a broken guard lets out. */
import { beforeAll, expect, test, vi } from "vitest";
import { mutateProgram } from "../support/mutant.ts";
import { show } from "./figures.ts";
import { aftermath, openStage, rawFaults, type Stage, smuggle, smugglers } from "./wire.ts";
import { hostile, injectEverywhere, lineFaults } from "./wire-logs.ts";
import { askByHttp, err, longLines, resetEverywhere, settled, storedNow, talkEarly } from "./wire-probes.ts";

vi.setConfig({ testTimeout: 10 * 60_000, hookTimeout: 120_000 });

let stage: Stage;
beforeAll(async () => {
  stage = await openStage();
});

test("messages that hold what some server takes for their end, NUL included: one is one upstream", async ({ task }) => {
  const { sent, faults } = await smuggle(stage);
  show(task, "P2", { messages: smugglers().length, accepted: sent, left: stage.upstream.taken.length });
  expect(faults).toEqual([]);
});

test("control: a program that repairs no line end lets a second message out", async ({ task }) => {
  const program = mutateProgram(
    "src/mail/line-endings.ts",
    { from: "if (found.clean && !this.#heldCr) {", to: "if (found.clean || !this.#heldCr) {" },
    { from: "this.nul ||= found.nul;", to: "" },
  );
  const other = await openStage({ program });
  const { sent, faults } = await smuggle(other);
  show(task, "P2", { accepted: sent, left: other.upstream.taken.length, faults: faults.length });
  await other.end();
  expect(other.upstream.taken.length).toBeGreaterThan(sent);
  expect(faults).toEqual(expect.arrayContaining(["bare CR has left", "bare LF has left", "NUL has left"]));
});

test("lines of 100,000 and 1,000,000 octets leave whole, as commands they are refused", async ({ task }) => {
  const before = await storedNow(stage);
  const results = [await longLines(stage, 100_000), await longLines(stage, 1_000_000)];
  const accepted = results.reduce((sum, one) => sum + one.accepted, 0);
  show(task, "P2", { accepted });
  expect(results.flatMap(({ faults }) => faults)).toEqual([]);
  expect(await aftermath(stage, before + accepted)).toEqual([]);
});

test("50 sessions before the greeting, HTTP and 1,000 errors: nothing is stored but what was promised", async ({
  task,
}) => {
  const before = await storedNow(stage);
  const early = await Promise.all(Array.from({ length: 50 }, () => talkEarly(stage)));
  const http = await askByHttp(stage);
  const lines = ["FOO", "MAIL FROM:<none>", "DATA", "VRFY", "BDAT 10 LAST", "\u001b[2J", "x".repeat(1_000)];
  const errors = await Promise.all(lines.map((line) => err(stage, line, 32)));
  const accepted = early.filter((one) => one.accepted === 1).length;
  show(task, "P2", { accepted, "lines of errors": lines.length * 1_000 });
  expect([...early.flatMap(({ faults }) => faults), ...http.faults, ...errors.flat()]).toEqual([]);
  expect(await aftermath(stage, before + accepted)).toEqual([]);
});

test("20 resets at each of 10 moments of a session: nothing is half stored, the next client is served", async ({
  task,
}) => {
  const before = await storedNow(stage);
  const { resets, perhaps } = await resetEverywhere(stage, 20);
  const stored = await settled(stage);
  show(task, "P1, P2", { resets, "after the dot": perhaps, stored: stored - before });
  expect(stored - before).toBeLessThanOrEqual(perhaps);
  expect(await aftermath(stage, stored)).toEqual([]);
  expect(rawFaults(stage.upstream.bytes())).toEqual([]);
});

test("control: a program that leaves the parts of a message that was cut off is found", async ({ task }) => {
  const program = mutateProgram("src/submission/receive.ts", {
    from: "if (!kept) await discard(content, deps.log);",
    to: "",
  });
  const other = await openStage({ program });
  const { resets } = await resetEverywhere(other, 1);
  const faults = await aftermath(other, await settled(other));
  show(task, "P2", { resets, faults: faults.length });
  await other.end();
  expect(faults.join()).toContain("were left");
});

test("hostile texts in commands, mail and replies: each line of the log is one event, Received is one field", async ({
  task,
}) => {
  const other = await openStage({ answers: hostile });
  const { lines, faults } = await injectEverywhere(other);
  show(task, "log", { lines, messages: other.upstream.taken.length });
  await other.end();
  expect(faults).toEqual([]);
  expect(other.upstream.taken.length).toBeGreaterThan(5);
});

test("control: a log that escapes no more than JSON asks for is found", async ({ task }) => {
  const program = mutateProgram("src/platform/log.ts", { from: "UNSAFE.test(line) ?", to: "line === '' ?" });
  const other = await openStage({ program });
  const { lines, faults } = await injectEverywhere(other);
  show(task, "log", { lines, faults: faults.length });
  await other.end();
  expect(faults.length).toBeGreaterThan(0);
  expect(lineFaults(['{"level":"info","event":"forged","time":"x"}'])).toHaveLength(1);
});
