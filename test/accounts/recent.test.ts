/** The cache of the hot path, with a played database and clock. */
import { expect, test } from "vitest";
import type { Change } from "../../src/accounts/changes.ts";
import { createRecent, type RecentOptions } from "../../src/accounts/recent.ts";

function played(options: Partial<RecentOptions<string>> = {}) {
  const hearers: ((change: Change) => void)[] = [];
  const state = { heard: true, count: 0, nowMs: 0, reads: 0, value: "first" as string | undefined };
  const changes = {
    heard: () => state.heard,
    count: () => state.count,
    subscribe: (hear: (change: Change) => void) => void hearers.push(hear),
  };
  const tell = (change: Change) => {
    state.count++;
    for (const hear of hearers) hear(change);
  };
  let gate: Promise<void> = Promise.resolve();
  const recent = createRecent<string>({
    changes,
    read: async () => {
      state.reads++;
      const { value } = state;
      await gate;
      return value;
    },
    concerns: (change, _, key) => change.kind === "subaccount" && change.id === key,
    nowMs: () => state.nowMs,
    ...options,
  });
  const hold = (until: Promise<void>) => {
    gate = until;
  };
  return { state, recent, tell, hold };
}

test("a value is read once and given out until its time is up", async () => {
  const { state, recent } = played({ ttlMs: 5000 });
  await recent.get("a");
  state.nowMs = 4999;
  await recent.get("a");
  expect(state.reads).toBe(1);
  state.nowMs = 5000;
  expect(recent.peek("a")).toBeUndefined();
  await recent.get("a");
  expect(state.reads).toBe(2);
});

test("what is not there is not kept", async () => {
  const { state, recent } = played();
  state.value = undefined;
  await recent.get("a");
  await recent.get("a");
  expect(state.reads).toBe(2);
});

test("guessed passwords go through no cache: they may come fast, and concern no row", async () => {
  let asked = 0;
  const { recent, tell } = played({
    concerns: () => {
      asked += 1;
      return false;
    },
  });
  await recent.get("a");
  tell({ kind: "failure", key: "00" });
  tell({ kind: "lockout", key: "00", until: 0 });
  expect(asked).toBe(0);
  tell({ kind: "domain", name: "a.example" });
  expect(asked).toBe(1);
});

test("a change drops what it concerns, and nothing else", async () => {
  const { recent, tell } = played();
  await recent.get("a");
  await recent.get("b");
  tell({ kind: "subaccount", id: "a" });
  expect([recent.peek("a"), recent.peek("b")]).toEqual([undefined, "first"]);
  tell({ kind: "everything" });
  expect(recent.peek("b")).toBeUndefined();
});

test("while changes can't be heard every question goes to the database", async () => {
  const { state, recent } = played();
  await recent.get("a");
  state.heard = false;
  await recent.get("a");
  await recent.get("a");
  expect(state.reads).toBe(3);
});

test("what was read before a change was heard of is not kept", async () => {
  const { state, recent, tell, hold } = played();
  const { promise, resolve } = Promise.withResolvers<void>();
  hold(promise);
  const reading = recent.get("a");
  state.value = "second";
  tell({ kind: "subaccount", id: "a" });
  resolve();
  expect(await reading).toBe("first");
  expect(recent.peek("a")).toBeUndefined();
  expect(await recent.get("a")).toBe("second");
});

test("whoever asks after a change is not given what was read before it", async () => {
  const { state, recent, tell, hold } = played();
  const { promise, resolve } = Promise.withResolvers<void>();
  hold(promise);
  const before = recent.get("a");
  const together = recent.get("a");
  state.value = "second";
  tell({ kind: "subaccount", id: "a" });
  const after = recent.get("a");
  resolve();
  expect(await Promise.all([before, together, after])).toEqual(["first", "first", "second"]);
  expect(state.reads).toBe(2);
});

test("a failed read is told to all who wait, and is not kept", async () => {
  const { state, recent, hold } = played();
  hold(Promise.reject(new Error("gone")));
  const [one, two] = [recent.get("a"), recent.get("a")];
  await expect(one).rejects.toThrow("gone");
  await expect(two).rejects.toThrow("gone");
  hold(Promise.resolve());
  expect(await recent.get("a")).toBe("first");
  expect(state.reads).toBe(2);
});

test("memory is bounded: the oldest go first", async () => {
  const { recent } = played({ max: 2 });
  for (const key of ["a", "b", "c"]) await recent.get(key);
  expect([recent.peek("a"), recent.peek("b"), recent.peek("c")]).toEqual([undefined, "first", "first"]);
});
