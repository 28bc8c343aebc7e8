import { describe, expect, test } from "vitest";
import { networks, originOf } from "../../src/platform/client-address.ts";

const none = networks([]);
const proxies = networks(["10.0.0.0/8", "127.0.0.1", "fd00::/8"]);

describe("where a request comes from", () => {
  test.each(["127.0.0.1", "127.9.9.9", "::1", "::ffff:127.0.0.1"])("%s is this machine", (address) => {
    expect(originOf(address, undefined, false, none).loopback).toBe(true);
  });

  test.each(["192.0.2.1", "::ffff:192.0.2.1", "2001:db8::1", "", "nonsense"])("%s is not", (address) => {
    expect(originOf(address, undefined, false, none).loopback).toBe(false);
  });

  test("what a proxy on this machine forwards is never this machine, whatever it says", () => {
    for (const trusted of [none, proxies]) {
      expect(originOf("127.0.0.1", "127.0.0.1", false, trusted).loopback).toBe(false);
      expect(originOf("127.0.0.1", undefined, true, trusted).loopback).toBe(false);
    }
  });

  test("X-Forwarded-For is believed from the right, as far as the proxies are trusted", () => {
    expect(originOf("10.1.1.1", "198.51.100.9, 192.0.2.7, 10.2.2.2", false, proxies).address).toBe("192.0.2.7");
    expect(originOf("10.1.1.1", "spoofed", false, proxies).address).toBe("10.1.1.1");
    expect(originOf("192.0.2.1", "198.51.100.9", false, proxies).address).toBe("192.0.2.1");
  });
});
