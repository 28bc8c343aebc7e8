/** Guessing API keys is slow, and locks nobody out who has one. */
import { describe, expect, test } from "vitest";
import { createKeyThrottle, MAX_FAILURES } from "../../src/api/throttle.ts";
import { newMaster, openDoor } from "./client.ts";

describe("the count", () => {
  function played() {
    const at = { ms: 0 };
    const throttle = createKeyThrottle(() => at.ms);
    const fail = (network: string, times: number) => Array.from({ length: times }, () => throttle.failed(network));
    return { at, fail };
  }

  test("after twenty wrong keys within a minute a network waits for a minute", () => {
    const { at, fail } = played();
    expect(fail("192.0.2.1", MAX_FAILURES - 1).every((seconds) => seconds === 0)).toBe(true);
    at.ms = 59_000;
    expect(fail("192.0.2.1", 2)).toEqual([0, 60]);
    at.ms = 118_999;
    expect(fail("192.0.2.1", 1)).toEqual([1]);
    expect(fail("192.0.2.2", 1)).toEqual([0]); // another one
    at.ms = 119_000;
    expect(fail("192.0.2.1", MAX_FAILURES + 1)).toEqual([...Array(MAX_FAILURES).fill(0), 60]);
  });

  test("fewer in a minute are never told to wait", () => {
    const { at, fail } = played();
    for (let minute = 0; minute < 5; minute += 1) {
      at.ms = minute * 60_000;
      expect(fail("192.0.2.1", MAX_FAILURES - 1).some((seconds) => seconds > 0)).toBe(false);
    }
  });

  test("is bounded: the networks heard of longest ago are forgotten", () => {
    const { fail } = played();
    fail("first", MAX_FAILURES);
    for (let n = 0; n < 9_999; n += 1) fail(`network ${n}`, 1);
    expect(fail("first", 1)).toEqual([60]);
    fail("one more", 1);
    expect(fail("first", 1)).toEqual([0]);
  });
});

describe("at the door", () => {
  test("wrong keys of a network are 429 after twenty; valid keys, other networks and the keyless are not", async () => {
    const door = await openDoor();
    const { key } = await newMaster(door);
    const ask = async (remoteAddress: string, token?: string) => {
      const headers: Record<string, string> = token === undefined ? {} : { Authorization: `Bearer ${token}` };
      return door.app.app.request("/v1/account", { headers }, { incoming: { socket: { remoteAddress } } });
    };
    const guess = (n: number) => `pm_live_${"a".repeat(30)}${(n % 6) + 2}${Math.floor(n / 6) + 2}`;
    for (let n = 0; n < MAX_FAILURES; n += 1) expect((await ask(`2001:db8::${n}`, guess(n))).status).toBe(401);
    const throttled = await ask("2001:db8::ffff", guess(0));
    expect(throttled.status).toBe(429);
    expect(Number(throttled.headers.get("retry-after"))).toBeGreaterThan(0);
    expect(await throttled.json()).toMatchObject({ type: "/problems/too-many-failures" });
    expect((await ask("2001:db8::ffff", "pm_op_guessed")).status).toBe(429);
    expect((await ask("2001:db8::ffff", key)).status).toBe(200);
    expect((await ask("2001:db8::ffff")).status).toBe(401);
    expect((await ask("2001:db8:0:1::1", guess(0))).status).toBe(401);
    expect(door.lines.filter(({ event }) => event === "api.key_guessing")).toHaveLength(2);
  });
});
