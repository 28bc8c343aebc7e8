/** A client's place is given back whatever fails on the way to its greeting. */
import { connect, type Socket } from "node:net";
import { afterEach, describe, expect, test } from "vitest";
import { createConnectionCounter, defaultLimits, type Limits } from "../../src/submission/limits.ts";
import { type Listener, type ListenerOptions, listen } from "../../src/submission/listener.ts";

const limits: Limits = { ...defaultLimits, maxConnectionsPerClient: 3, maxCommands: 100 };
const open: Listener[] = [];
afterEach(() => {
  for (const listener of open.splice(0)) listener.close();
});

async function listener(change: Partial<ListenerOptions>) {
  const failures: unknown[] = [];
  const counter = createConnectionCounter(limits.maxConnectionsPerClient);
  const made = await listen({
    host: "127.0.0.1",
    port: 0,
    trusted: () => false,
    counter,
    limits,
    opened: () => {},
    failed: (error) => failures.push(error),
    ...change,
  });
  open.push(made);
  return { port: made.port, counter, failures };
}

function closed(port: number): Promise<void> {
  const socket: Socket = connect({ port, host: "127.0.0.1" });
  socket.on("error", () => {}).resume();
  return new Promise((resolve) => socket.once("close", () => resolve()));
}

const fail = () => {
  throw new Error("played failure");
};

describe("the place of a client is free again", () => {
  test.each([
    ["no certificate can be served", { secureContext: fail }],
    ["the session can't be opened", { opened: fail }],
  ] satisfies [string, Partial<ListenerOptions>][])("when %s", async (_, change) => {
    const { port, counter, failures } = await listener(change);
    for (let n = 0; n < 5; n += 1) await closed(port);
    expect(counter.clients).toBe(0);
    expect(failures).toHaveLength(5); // and somebody hears of it
  });

  test("and is kept while a session has it", async () => {
    let session: Socket | undefined;
    const arrived = Promise.withResolvers<void>();
    const { port, counter } = await listener({
      opened: (socket) => {
        session = socket;
        arrived.resolve();
      },
    });
    const client = connect({ port, host: "127.0.0.1" });
    await arrived.promise;
    expect(counter.clients).toBe(1);
    client.destroy();
    session?.destroy();
  });
});
