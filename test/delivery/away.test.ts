/** When what delivery needs is away: the upstream, the spool, the lease, the time. */
import { expect, test, vi } from "vitest";
import type { Result } from "../../src/spool/message.ts";
import { CUT, HANG, type Received, type Said, type Script } from "../support/upstream.ts";
import { openHouse, shortOf } from "./house.ts";
import { makeTask, newSubaccount } from "./played-spool.ts";

const delivered = ["delivered 250 2.0.0"];
const until = (done: () => boolean) => vi.waitFor(() => expect(done()).toBe(true), { timeout: 20_000, interval: 5 });
const kindsOf = (results: readonly Result[]) => results.map((result) => shortOf(result)[0]?.split(" ")[0]);

test("while the upstream is away few messages bear it; the rest waits untried and flows when it is back", async () => {
  let away = true;
  const script = { greeting: () => (away ? CUT : undefined) };
  const breaker = { failures: 3, firstPauseMs: 30, longestPauseMs: 60 };
  const house = await openHouse({ script, tuning: { breaker } });
  for (let i = 0; i < 50; i += 1) house.push({ subaccountId: newSubaccount() });
  await until(() => house.spool.released.flatMap(({ tasks }) => tasks).length >= 40);
  expect(house.delivery.handoff.offer(100, newSubaccount())).toBe(false);
  expect(house.delivery.state().lanes[0]).toMatchObject({ open: true, connections: 0 });
  expect(kindsOf(house.spool.results).length).toBeLessThan(10); // three, and one for each probe since
  for (const { delayMs } of house.spool.released) expect(delayMs).toBeGreaterThan(0);
  away = false;
  await until(() => kindsOf(house.spool.results).filter((kind) => kind === "delivered").length >= 35);
  expect(house.delivery.handoff.offer(100, newSubaccount())).toBe(true);
  for (const result of house.spool.results) {
    if (shortOf(result)[0] === delivered[0]) expect(result.task.attempt).toBe(1);
  }
});

test("a peer that allows fewer connections than we may make is served over those it allows", async () => {
  let open = 0;
  const script = {
    greeting: () => {
      open += 1;
      return open > 2 ? "421 4.7.0 Too many connections" : undefined;
    },
  };
  const house = await openHouse({ script });
  for (let i = 0; i < 60; i += 1) house.push();
  await house.spool.settled(60);
  const failed = kindsOf(house.spool.results).filter((kind) => kind === "deferred");
  expect(failed.length).toBeLessThanOrEqual(18); // those that connected before the first two stood
  expect(house.upstream.connections()).toBeLessThan(60);
  expect(house.delivery.state().lanes[0]?.open).toBe(false);
});

test("a message that expires while the route is left alone is given up", async () => {
  const breaker = { failures: 1, firstPauseMs: 60_000, longestPauseMs: 60_000 };
  const house = await openHouse({ script: { greeting: () => CUT }, tuning: { breaker } });
  await house.deliver();
  house.spool.store(makeTask({ expiresAt: new Date(Date.now() - 1000) }));
  house.delivery.wake();
  await house.spool.settled(2);
  expect(house.spool.results[1]).toMatchObject({ dueAt: null, recipients: [{ state: "bounced" }] });
  expect(house.spool.results[1]?.dsn).not.toBeNull();
});

test("while the spool is away outcomes wait, and are written when it is back", async () => {
  const house = await openHouse();
  house.spool.outage = Object.assign(new Error("Connection terminated unexpectedly"), {});
  const tasks = Array.from({ length: 5 }, () => house.push());
  await house.upstream.arrived(5);
  expect(house.spool.results).toHaveLength(0);
  house.spool.outage = undefined;
  await house.spool.settled(5);
  for (const task of tasks) expect(shortOf(house.spool.resultOf(task) as Result)).toEqual(delivered);
  expect(house.upstream.received).toHaveLength(5);
  house.spool.store(makeTask());
  await house.spool.settled(6); // claims go on, too
});

test("one outcome that the spool refuses does not hold up the others", async () => {
  const house = await openHouse({ tuning: { gatherMs: 50 } });
  const settle = house.spool.settle.bind(house.spool);
  const odd = house.push();
  house.spool.settle = async (results) => {
    if (results.some((result) => result.task.id === odd.id && result.recipients[0]?.attempt.reply !== "")) {
      throw Object.assign(new Error("invalid text"), { code: "22P05" });
    }
    return settle(results);
  };
  for (let i = 0; i < 10; i += 1) house.push();
  await house.spool.settled(11);
  expect(house.spool.resultOf(odd)?.recipients).toMatchObject([{ state: "delivered", attempt: { reply: "" } }]);
});

test("what waits is dropped when a renewal finds it in other hands; what is under way goes on", async () => {
  let answer: ((said: Said | undefined) => void) | undefined;
  const script = {
    end: (_m: Received, n: number) => (n === 0 ? new Promise<Said | undefined>((r) => (answer = r)) : undefined),
  };
  const house = await openHouse({ url: "smtp://127.0.0.1:PORT?connections=1", script, tuning: { leaseMs: 6_000 } });
  const [running, waiting, kept] = [house.push(), house.push({ sender: "lost@x.example" }), house.push()];
  await until(() => answer !== undefined);
  house.spool.steal(waiting);
  await until(() => house.spool.renewals.length > 0); // a third of the lease
  answer?.(undefined);
  await house.spool.settled(2);
  expect(house.spool.resultOf(waiting)).toBeUndefined();
  for (const task of [running, kept]) expect(shortOf(house.spool.resultOf(task) as Result)).toEqual(delivered);
  const senders = house.upstream.received.map(({ mail }) => mail);
  expect(senders.filter((mail) => mail.includes("lost@")).length).toBeLessThanOrEqual(1);
});

test("what was dropped with its lease is not given back at the end: it is someone else's", async () => {
  const house = await openHouse({ script: { greeting: HANG }, tuning: { leaseMs: 600 } });
  const [lost, kept] = [house.push(), house.push()];
  house.spool.steal(lost);
  await until(() => house.delivery.state().held === 1);
  await house.delivery.drain(0);
  expect(house.spool.released.flatMap(({ tasks }) => tasks)).toEqual([kept]);
});

test("a message whose lease has run out is not begun", async () => {
  const house = await openHouse();
  const late = house.push({ leasedUntilMs: performance.now() + 100 });
  expect(shortOf(await house.deliver())).toEqual(delivered);
  expect(house.spool.resultOf(late)).toBeUndefined();
  expect(house.upstream.received).toHaveLength(1);
  const lost = await house.metrics.registry.getSingleMetricAsString("postmeter_leases_lost_total");
  expect(lost).toMatch(/_total 1$/m);
});

test("an outcome that comes after the lease went to another is not counted as ours", async () => {
  const house = await openHouse({
    script: { end: () => new Promise((resolve) => setTimeout(() => resolve(undefined), 20)) },
  });
  const task = house.push();
  house.spool.steal(task);
  await house.upstream.arrived(1);
  await until(() => house.delivery.state().held === 0);
  expect(house.spool.results).toHaveLength(0);
  const counted = await house.metrics.registry.getSingleMetricAsString("postmeter_delivered_recipients_total");
  expect(counted).not.toMatch(/_total [1-9]/);
});

test("draining finishes what runs, gives back what waits, and takes nothing more", async () => {
  let answer: ((said: Said | undefined) => void) | undefined;
  const script = { end: () => new Promise<Said | undefined>((resolve) => (answer = resolve)) };
  const house = await openHouse({ url: "smtp://127.0.0.1:PORT?connections=1", script });
  const running = house.push();
  await until(() => answer !== undefined);
  const waiting = [house.push(), house.push(), house.push()];
  const drained = house.delivery.drain(20_000);
  expect(house.delivery.handoff.offer(100, newSubaccount())).toBe(false);
  await until(() => house.spool.released.length > 0);
  const late = house.push(); // its room was granted before
  answer?.(undefined);
  await drained;
  expect(shortOf(house.spool.resultOf(running) as Result)).toEqual(delivered);
  const returned = house.spool.released.flatMap(({ tasks }) => tasks.map(({ id }) => id));
  expect(new Set(returned)).toEqual(new Set([...waiting, late].map(({ id }) => id)));
  expect([...house.spool.rows.values()].every((row) => !row.owned && row.attempt === 0)).toBe(true);
  await until(() => house.upstream.open() === 0);
});

test("draining does not wait for ever: at its end a message whose dot was sent is indeterminate, others are untried", async () => {
  const script: Script = { end: () => HANG, rcpt: (line) => (line.includes("early") ? HANG : undefined) };
  const house = await openHouse({ script });
  const dotted = house.push();
  const early = house.push({ to: ["early@x.example"] });
  await until(() => house.upstream.commands.some((line) => line.includes("early")));
  await until(() => house.upstream.commands.filter((line) => line === "DATA").length >= 1);
  await until(() => house.delivery.state().lanes[0]?.waiting === 0);
  await new Promise((resolve) => setTimeout(resolve, 50));
  await house.delivery.drain(10);
  expect(shortOf(house.spool.resultOf(dotted) as Result)).toEqual(["deferred 4.4.2 indeterminate"]);
  expect(house.spool.released.flatMap(({ tasks }) => tasks.map(({ id }) => id))).toEqual([early.id]);
});

test("draining ends a connection that is still being made", async () => {
  const house = await openHouse({ script: { greeting: HANG } });
  const task = house.push();
  await until(() => house.upstream.open() === 1);
  await house.delivery.drain(10);
  expect(house.spool.released.flatMap(({ tasks }) => tasks.map(({ id }) => id))).toEqual([task.id]);
  await until(() => house.upstream.open() === 0);
});
