import { describe, expect, test } from "vitest";
import {
  createConnectionCounter,
  defaultLimits,
  type Limits,
  overdue,
  type Progress,
} from "../../src/submission/limits.ts";
import { eventually } from "../support/eventually.ts";
import { Client, ready, send } from "./client.ts";
import { startHouse } from "./house.ts";

const limits: Limits = { ...defaultLimits, maxConnectionsPerClient: 2, maxCommands: 100 };
const progress = (change: Partial<Progress>): Progress => ({
  phase: "command",
  openedAtMs: 0,
  phaseSinceMs: 0,
  authenticated: true,
  ...change,
});

describe("deadlines", () => {
  test.each([
    ["a client has five minutes for its next command (RFC 5321 4.5.3.2.7)", {}, 299_999, 300_000],
    ["the time begins anew with each reply", { phaseSinceMs: 1_000_000 }, 1_299_999, 1_300_000],
    ["a message may take half an hour", { phase: "data" as const }, 1_799_999, 1_800_000],
    [
      "who does not authenticate has five minutes, whatever it says",
      { authenticated: false, phaseSinceMs: 299_000 },
      299_999,
      300_000,
    ],
  ])("%s", (_, change, stillMs, overMs) => {
    expect(overdue(progress(change), limits, stillMs)).toBeUndefined();
    expect(overdue(progress(change), limits, overMs)).toMatchObject({ code: 421, detail: "4.2" });
  });

  test("none runs while the client waits for us", () => {
    expect(overdue(progress({ phase: "busy", authenticated: false }), limits, 1e12)).toBeUndefined();
  });

  test("bytes that trickle in put no deadline off", async () => {
    const house = await startHouse({ limits: { commandMs: 500 } });
    const client = await ready(house.submission.ports.submission);
    const trickle = setInterval(() => client.write("N"), 20);
    expect((await client.reply())[0]).toBe("421 4.4.2 Timeout, closing connection");
    clearInterval(trickle);
    await client.end();
  });

  test("a message that does not end is cut off, and leaves nothing", async () => {
    const house = await startHouse({ limits: { dataMs: 300 } });
    const client = await ready(house.submission.ports.submission);
    for (const line of ["MAIL FROM:<app@customer.example>", "RCPT TO:<a@one.example>", "DATA"])
      await client.command(line);
    const trickle = setInterval(() => client.write("x"), 20);
    expect((await client.reply())[0]).toMatch(/^421 4\.4\.2 /);
    clearInterval(trickle);
    await client.end();
    client.destroy();
    expect(house.accepted).toHaveLength(0);
    expect(house.reservations).toHaveLength(0);
  });

  test("who opens a connection and starts no TLS is dropped", async () => {
    const house = await startHouse({ limits: { openMs: 100 } });
    const client = await Client.connect(house.submission.ports.submissions as number);
    expect(await client.end()).toBe("");
  });
});

describe("shares", () => {
  test("are counted by IPv4 address and by IPv6 /64, and given back", () => {
    const counter = createConnectionCounter(1);
    expect(counter.enter("192.0.2.1")).toBe(true);
    expect(counter.enter("192.0.2.1")).toBe(false);
    expect(counter.enter("192.0.2.2")).toBe(true);
    expect(counter.enter("2001:db8::1")).toBe(true);
    expect(counter.enter("2001:db8:0:0:ffff::1")).toBe(false);
    expect(counter.enter("2001:db8:0:1::1")).toBe(true);
    for (const address of ["192.0.2.1", "192.0.2.2", "2001:db8::1", "2001:db8:0:1::1"]) counter.leave(address);
    expect(counter.clients).toBe(0);
    expect(counter.enter("192.0.2.1")).toBe(true);
  });

  test("one connection too many is told so, and its place is free again when another leaves", async () => {
    const house = await startHouse({ config: { maxConnectionsPerClient: 2 } });
    const { submission, submissions } = house.submission.ports;
    const first = await Client.connect(submission);
    const second = await Client.connectSecure(submissions as number);
    await first.reply();
    await second.reply();
    const third = await Client.connect(submission);
    expect(await third.reply()).toEqual(["421 4.7.0 Too many connections from your address"]);
    await third.end();
    await expect(Client.connectSecure(submissions as number)).rejects.toThrow();
    second.destroy();
    await eventually(async () => {
      const again = await Client.connect(submission);
      expect((await again.reply())[0]).toMatch(/^220/);
      again.destroy();
    });
    first.destroy();
  });
});

describe("patience", () => {
  test("ends with too many errors, but refusals by limit are none", async () => {
    const house = await startHouse({ limits: { maxErrors: 5 } });
    const { submission } = house.submission.ports;
    const client = await ready(submission);
    house.world.used = 100;
    for (let n = 0; n < 20; n += 1)
      expect(await client.command("MAIL FROM:<app@customer.example>")).toMatch(/^550 5\.4\.5/);
    for (let n = 0; n < 4; n += 1) expect(await client.command("FOO")).toMatch(/^500/);
    expect(await client.command("FOO")).toMatch(/^500/);
    expect((await client.reply())[0]).toBe("421 4.7.0 Too many errors, closing connection");
    await client.end();
  });

  test("an accepted message makes good for errors before it", async () => {
    const house = await startHouse({ limits: { maxErrors: 5 } });
    const client = await ready(house.submission.ports.submission);
    for (let round = 0; round < 3; round += 1) {
      for (let n = 0; n < 4; n += 1) await client.command("FOO");
      expect(await send(client, "From: app@customer.example\r\n\r\nx")).toMatch(/^250/);
    }
    client.destroy();
  });

  test("ends with too many commands that lead to no message", async () => {
    const house = await startHouse({ limits: { maxCommands: 20 } });
    const client = await ready(house.submission.ports.submission);
    for (let n = 0; n < 18; n += 1) expect(await client.command("NOOP")).toMatch(/^250/);
    expect(await client.command("NOOP")).toMatch(/^421 4\.7\.0 Too many commands/);
    await client.end();
  });

  test("a command line without an end is cut off", async () => {
    const house = await startHouse();
    const client = await Client.connect(house.submission.ports.submission);
    await client.reply();
    client.write("x".repeat(20_000));
    expect((await client.reply())[0]).toMatch(/^421 /);
  });
});
