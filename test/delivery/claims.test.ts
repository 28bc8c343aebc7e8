import { expect, test, vi } from "vitest";
import { type ClaimOptions, startClaims } from "../../src/delivery/claims.ts";
import type { SubaccountId } from "../../src/platform/ids.ts";
import type { Task } from "../../src/spool/message.ts";
import { silentLog } from "../support/log.ts";
import { makeTask, newSubaccount } from "./played-spool.ts";

const START = "00000000-0000-0000-0000-000000000000" as SubaccountId;
const until = (done: () => boolean) => vi.waitFor(() => expect(done()).toBe(true), { timeout: 20_000, interval: 2 });

function open(options: Partial<ClaimOptions> = {}) {
  const asked: Parameters<ClaimOptions["claim"]>[0][] = [];
  const taken: Task[] = [];
  const claims = startClaims({
    async claim(ask) {
      asked.push(ask);
      return { tasks: [], cursor: START };
    },
    room: () => 8,
    worthwhile: 2,
    take: async (tasks) => taken.push(...tasks),
    shortestPauseMs: 5,
    longestPauseMs: 60_000,
    log: silentLog,
    ...options,
  });
  return { claims, asked, taken };
}

test("with nothing due it asks less and less often, and at once when woken", async () => {
  const { claims, asked } = open();
  await until(() => asked.length >= 3);
  await new Promise((resolve) => setTimeout(resolve, 200));
  const quiet = asked.length;
  expect(quiet).toBeLessThan(8); // 5, 10, 20, 40, 80 ...
  claims.wake();
  await until(() => asked.length > quiet);
  await claims.stop();
});

test("waking all the time does not make it spin", async () => {
  const { claims, asked } = open({ shortestPauseMs: 20 });
  const begun = performance.now();
  while (performance.now() - begun < 200) {
    claims.wake();
    await new Promise((resolve) => setImmediate(resolve));
  }
  expect(asked.length).toBeLessThan(15);
  await claims.stop();
});

test("while something comes it goes on without a pause, behind where the last claim ended", async () => {
  const cursors = [newSubaccount(), newSubaccount(), newSubaccount()];
  const seen: SubaccountId[] = [];
  const { claims, taken } = open({
    async claim({ cursor }) {
      seen.push(cursor);
      const next = cursors.shift();
      return next === undefined ? { tasks: [], cursor: START } : { tasks: [makeTask()], cursor: next };
    },
    shortestPauseMs: 60_000,
  });
  await until(() => taken.length === 3);
  expect(new Set(seen).size).toBe(seen.length);
  await claims.stop();
});

test("thin claims ask for more of each tenant, full ones for few again", async () => {
  const perTenant: number[] = [];
  let n = 0;
  const { claims } = open({
    async claim(ask) {
      perTenant.push(ask.perTenant);
      n += 1;
      const tasks = Array.from({ length: n === 4 ? ask.limit : n < 4 ? 1 : 0 }, () => makeTask());
      return { tasks, cursor: START };
    },
    room: () => 64,
  });
  await until(() => perTenant.length >= 5);
  expect(perTenant.slice(0, 5)).toEqual([4, 8, 16, 32, 4]);
  await claims.stop();
});

test("without room nothing is asked for until there is some", async () => {
  let room = 1;
  const { claims, asked } = open({ room: () => room });
  await new Promise((resolve) => setTimeout(resolve, 50));
  expect(asked).toHaveLength(0);
  room = 5;
  claims.wake();
  await until(() => asked.length > 0);
  expect(asked[0]?.limit).toBe(5);
  await claims.stop();
});

test("messages that were all given back count as nothing: it does not go round in circles", async () => {
  let claimed = 0;
  const { claims } = open({
    async claim() {
      claimed += 1;
      return { tasks: [makeTask()], cursor: START };
    },
    take: async () => 0,
    shortestPauseMs: 20,
  });
  await new Promise((resolve) => setTimeout(resolve, 100));
  expect(claimed).toBeLessThan(6);
  await claims.stop();
});

test("a claim that fails is tried again, and stopping waits for the one under way", async () => {
  let calls = 0;
  let answered = false;
  const { claims } = open({
    async claim() {
      calls += 1;
      if (calls === 1) throw new Error("away");
      await new Promise((resolve) => setTimeout(resolve, 30));
      answered = true;
      return { tasks: [], cursor: START };
    },
    longestPauseMs: 10,
  });
  await until(() => calls === 2);
  await claims.stop();
  expect(answered).toBe(true);
  const last = calls;
  await new Promise((resolve) => setTimeout(resolve, 30));
  expect(calls).toBe(last);
});
