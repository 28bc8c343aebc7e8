import { expect, test, vi } from "vitest";
import type { Result, Task } from "../../src/spool/message.ts";
import { CUT, type Received, type Said } from "../support/upstream.ts";
import { openHouse, shortOf } from "./house.ts";
import { hello, makeTask, newSubaccount } from "./played-spool.ts";

const delivered = ["delivered 250 2.0.0"];
const until = (done: () => boolean) => vi.waitFor(() => expect(done()).toBe(true), { timeout: 20_000, interval: 5 });

/** Holds messages at their final dot until they are let go. */
function makeGate() {
  const waiting: { message: Received; answer: (said: Said | undefined) => void }[] = [];
  let open = false;
  return {
    waiting,
    end: (message: Received) =>
      open ? undefined : new Promise<Said | undefined>((answer) => waiting.push({ message, answer })),
    letGo() {
      open = true;
      for (const { answer } of waiting.splice(0)) answer(undefined);
    },
  };
}

test("fresh mail goes out from memory: its body is not read back, and nothing of it is left", async () => {
  const house = await openHouse();
  const read = vi.spyOn(house.spool, "readBody");
  expect(shortOf(await house.deliver())).toEqual(delivered);
  expect(read).not.toHaveBeenCalled();
  expect(house.upstream.received[0]?.bytes.equals(hello)).toBe(true);
  expect(house.spool.rows.size).toBe(0);
  await until(() => house.delivery.state().held === 0);
  expect(house.delivery.state()).toMatchObject({ held: 0, heldBytes: 0 });
});

test("claimed mail is read from the spool and delivered", async () => {
  const house = await openHouse();
  const task = house.spool.store(makeTask());
  house.delivery.wake();
  await house.spool.settled(1);
  expect(shortOf(house.spool.results[0] as Result)).toEqual(delivered);
  expect(house.spool.results[0]?.task).toMatchObject({ id: task.id, attempt: 1 });
});

test("a message without open recipients is taken off the queue", async () => {
  const house = await openHouse();
  house.spool.store(makeTask({ to: [] }));
  house.delivery.wake();
  await house.spool.settled(1);
  expect(house.spool.results[0]).toMatchObject({ recipients: [], dueAt: null });
  expect(house.upstream.connections()).toBe(0);
});

test("what was deferred is tried again when it is due, the recipients that are still open alone", async () => {
  const script = { rcpt: (line: string, n: number) => (line.includes("b@") && n < 4 ? "451 4.2.1 busy" : undefined) };
  const house = await openHouse({ script, retryScheduleMs: [1] });
  house.push({ to: ["a@x.example", "b@x.example"] });
  await until(() => house.spool.rows.size === 0);
  const attempts = house.spool.results.map((result) => [result.task.attempt, ...shortOf(result)]);
  expect(attempts[0]).toEqual([1, ...delivered, "deferred 451 4.2.1"]);
  expect(attempts.at(-1)).toEqual([attempts.length, ...delivered]);
  expect(house.upstream.received.map(({ rcpt }) => rcpt.length)).toEqual([1, 1]);
});

test("given up, the sender is told in the transaction of the outcome", async () => {
  const house = await openHouse({ script: { rcpt: () => "550 5.1.1 unknown" } });
  const result = await house.deliver();
  expect(result.dsn).toMatchObject({ kind: "dsn", sender: "", recipients: ["alice@sender.example"] });
  expect(Buffer.from(result.dsn?.bytes as Uint8Array).toString()).toContain("Subject: Hello");
});

test("the report about claimed mail returns its header too, and stands without it when the body is gone", async () => {
  const house = await openHouse({ script: { mail: () => "550 5.7.1 no" } });
  house.spool.store(makeTask());
  house.delivery.wake();
  await house.spool.settled(1);
  house.spool.readBody = (_task: Task): AsyncGenerator<Buffer> => {
    throw new Error("gone");
  };
  house.spool.store(makeTask(), []);
  house.delivery.wake();
  await house.spool.settled(2);
  const reports = house.spool.results.map(({ dsn }) => Buffer.from(dsn?.bytes as Uint8Array).toString());
  expect(reports.map((text) => text.includes("Subject: Hello"))).toEqual([true, false]);
});

test("connections are kept and bounded; one takes so many messages and no more", async () => {
  const house = await openHouse({ url: "smtp://127.0.0.1:PORT?connections=4&messages=10" });
  for (let i = 0; i < 100; i += 1) house.push();
  await house.spool.settled(100);
  const byConnection = Map.groupBy(house.upstream.received, ({ connection }) => connection);
  for (const messages of byConnection.values()) expect(messages.length).toBeLessThanOrEqual(10);
  expect(house.upstream.connections()).toBeLessThan(20);
  expect(house.upstream.commands.filter((line) => line === "QUIT").length).toBeGreaterThan(0);
  expect(house.delivery.state().lanes[0]?.connections).toBeLessThanOrEqual(4);
});

test("an idle connection is closed politely", async () => {
  const patience = { connect: 5_000, setup: 5_000, command: 5_000, body: 5_000, end: 5_000, idle: 20 };
  const house = await openHouse({ tuning: { patience } });
  await house.deliver();
  await until(() => house.upstream.open() === 0);
  expect(house.upstream.commands.at(-1)).toBe("QUIT");
});

test.each([
  ["cut", (): Said => CUT],
  ["closed with 421", (): Said => "421 4.4.2 Idle too long"],
] as const)("a kept connection that was %s meanwhile costs no attempt", async (_name, said) => {
  const house = await openHouse({ script: { mail: (_line, n) => (n === 1 ? said() : undefined) } });
  expect(shortOf(await house.deliver())).toEqual(delivered);
  expect(shortOf(await house.deliver())).toEqual(delivered);
  expect(house.upstream.connections()).toBe(2);
});

test("a kept connection that always dies at MAIL is a failure the second time", async () => {
  const house = await openHouse({ script: { mail: (_line, n) => (n >= 1 ? CUT : undefined) } });
  expect(shortOf(await house.deliver())).toEqual(delivered);
  expect(shortOf(await house.deliver())).toEqual(["deferred 4.4.2"]);
});

test("fresh mail leaves a quarter of the connections to claimed mail, and claimed mail to fresh", async () => {
  for (const freshFirst of [true, false]) {
    const gate = makeGate();
    const house = await openHouse({ url: "smtp://127.0.0.1:PORT?connections=4", script: { end: gate.end } });
    const fresh = (): void => void house.push({ to: ["fresh@x.example"] });
    const claimed = (): void => {
      house.spool.store(makeTask({ to: ["claimed@x.example"], subaccountId: newSubaccount() }));
      house.delivery.wake();
    };
    const [flood, other] = freshFirst ? [fresh, claimed] : [claimed, fresh];
    for (let i = 0; i < 20; i += 1) flood();
    await until(() => gate.waiting.length === 3);
    other();
    await until(() => gate.waiting.length === 4);
    const kinds = gate.waiting.map(({ message }) => message.rcpt[0]?.includes("fresh"));
    expect(kinds.filter((isFresh) => isFresh === freshFirst)).toHaveLength(3);
    gate.letGo();
    await house.spool.settled(21);
  }
});

test("one subaccount's flood does not delay another's password reset", async () => {
  const gate = makeGate();
  const house = await openHouse({ url: "smtp://127.0.0.1:PORT?connections=1", script: { end: gate.end } });
  for (let i = 0; i < 200; i += 1) house.push({ to: ["flood@x.example"] });
  await until(() => gate.waiting.length === 1);
  house.push({ to: ["reset@x.example"], subaccountId: newSubaccount() });
  gate.letGo();
  await house.spool.settled(201);
  const place = house.upstream.received.findIndex(({ rcpt }) => rcpt[0]?.includes("reset"));
  expect(place).toBeLessThanOrEqual(3); // behind what was under way, and one of the flood
});

test("what finds no room in memory is refused before it is stored, and fetched from the spool later", async () => {
  const gate = makeGate();
  const tuning = { handoffBytes: 40_000, subaccountBytes: 20_000 };
  const house = await openHouse({ script: { end: gate.end }, tuning });
  const [flood, other] = [newSubaccount(), newSubaccount()];
  const offer = (subaccountId: ReturnType<typeof newSubaccount>) => {
    const task = makeTask({ subaccountId });
    const room = house.delivery.handoff.offer(task.sizeBytes, subaccountId);
    if (room) house.delivery.handoff.push(house.spool.hold(task));
    else house.spool.store(task);
    return room;
  };
  const rooms = Array.from({ length: 20 }, () => offer(flood));
  expect(rooms.filter(Boolean)).toHaveLength(9); // of 20,000 bytes with 2 KiB of overhead each
  expect(offer(other)).toBe(true);
  gate.letGo();
  await house.spool.settled(21);
  expect(house.delivery.state().heldBytes).toBe(0);
});

test("room that was taken for a refused message is given back", async () => {
  const house = await openHouse({ tuning: { handoffBytes: 3_000, subaccountBytes: 3_000 } });
  const owner = newSubaccount();
  expect(house.delivery.handoff.offer(500, owner)).toBe(true);
  expect(house.delivery.handoff.offer(500, owner)).toBe(false);
  house.delivery.handoff.withdraw(500, owner);
  expect(house.delivery.handoff.offer(500, owner)).toBe(true);
});

test("outcomes are written in groups", async () => {
  const house = await openHouse({ tuning: { gatherMs: 50 } });
  for (let i = 0; i < 300; i += 1) house.push();
  await house.spool.settled(300);
  expect(house.spool.settleCalls.length).toBeLessThan(60);
});

test("a route that leads to the built-in mailbox keeps the message with all its recipients", async () => {
  const house = await openHouse({ url: "capture:" });
  const result = await house.deliver({ to: ["a@x.example", "b@y.example"] });
  expect(shortOf(result)).toEqual([...delivered, ...delivered]);
  expect(result.recipients[0]?.attempt.reply).toMatch(/^Captured as cap_/);
  expect(house.captured).toMatchObject([{ recipients: ["a@x.example", "b@y.example"], bytes: hello }]);
  const parts = [Buffer.from("Subject: large\r\n\r\n"), Buffer.from("part two\r\n")];
  await house.deliver({ bytes: null, parts });
  expect(house.captured[1]?.bytes.equals(Buffer.concat(parts))).toBe(true);
});

test("a message bound to a route that is gone takes the one there is", async () => {
  const house = await openHouse();
  const result = await house.deliver({ route: "smtp://gone.example:25" });
  expect(result.recipients[0]?.attempt.route).toBe(`smtp://127.0.0.1:${house.upstream.port}`);
});

test("an indeterminate attempt is counted, and tried again", async () => {
  const script = { end: (_message: Received, n: number) => (n === 0 ? CUT : undefined) };
  const house = await openHouse({ script, retryScheduleMs: [1] });
  house.push();
  await until(() => house.spool.rows.size === 0);
  expect(house.spool.results.map((result) => shortOf(result)[0])).toEqual([
    "deferred 4.4.2 indeterminate",
    ...delivered,
  ]);
  const counted = await house.metrics.registry.getSingleMetricAsString("postmeter_indeterminate_attempts_total");
  expect(counted).toMatch(/_total 1$/m);
});

test("small bodies of a claim come by one read, a large one when it is its turn; one that is missing is deferred", async () => {
  const house = await openHouse();
  const read = vi.spyOn(house.spool, "readBody");
  const small = Array.from({ length: 20 }, () => house.spool.store(makeTask()));
  const large = house.spool.store(makeTask({ sizeBytes: 100_000 }));
  house.delivery.wake();
  await house.spool.settled(21);
  expect(house.upstream.received).toHaveLength(21);
  expect(house.spool.smallReads).toBeLessThan(20);
  expect(read.mock.calls.map(([task]) => task.id)).toEqual([large.id]);
  expect(small.every(({ id }) => !house.spool.rows.has(id))).toBe(true);
  house.spool.store(makeTask(), []);
  house.spool.readBody = () => {
    throw new Error("the body is gone");
  };
  house.delivery.wake();
  await house.spool.settled(22);
  expect(shortOf(house.spool.results[21] as Result)).toEqual(["deferred 4.3.0"]);
});
