import { expect, test, vi } from "vitest";
import { createResolve, findHosts, type MxOptions } from "../../src/delivery/mx.ts";
import { type TestDns, testDns } from "../support/dns.ts";
import { HANG } from "../support/upstream.ts";
import { openHouse, shortOf } from "./house.ts";
import { makeTask } from "./played-spool.ts";

async function playedDns(): Promise<{ dns: TestDns; options: MxOptions }> {
  const dns = await testDns();
  const resolve = createResolve([dns.server]);
  return { dns, options: { resolve, hostname: "relay.example", privateHosts: false, random: () => 0.5 } };
}

const mx = (priority: number, exchange: string) => ({ priority, exchange });
const [one, two, three] = ["203.0.113.1", "203.0.113.2", "203.0.113.3"];

test("hosts come by preference, those of one preference in the order of chance", async () => {
  const { dns, options } = await playedDns();
  dns.set("a.example", { MX: [mx(20, "c.a.example"), mx(10, "b.a.example"), mx(10, "A.a.example")] });
  dns.set("a.a.example", { A: [one as string] });
  dns.set("b.a.example", { A: [two as string] });
  dns.set("c.a.example", { A: [three as string] });
  const names = async (...chances: number[]) => {
    const hosts = await findHosts("a.example", { ...options, random: () => chances.shift() ?? 0 });
    return "why" in hosts ? [] : hosts.map(({ host }) => host);
  };
  expect(new Set([await names(0, 0.1, 0.9), await names(0, 0.9, 0.1)].map(String))).toEqual(
    new Set(["b.a.example,a.a.example,c.a.example", "a.a.example,b.a.example,c.a.example"]),
  );
});

test("without an MX record the domain's own address is used", async () => {
  const { dns, options } = await playedDns();
  dns.set("a.example", { A: [one as string, two as string] });
  expect(await findHosts("a.example", options)).toEqual([
    { host: "a.example", addresses: expect.arrayContaining([one, two]) },
  ]);
});

test.each([
  ["[203.0.113.9]", "203.0.113.9"],
  ["[IPv6:2001:db9::1]", "2001:db9::1"],
])("an address literal %s needs no look-up", async (domain, address) => {
  const { dns, options } = await playedDns();
  expect(await findHosts(domain, options)).toEqual([{ host: address, addresses: [address] }]);
  expect(dns.asked).toEqual([]);
});

test("a domain that does not exist, or has neither MX nor address, is a permanent failure", async () => {
  const { dns, options } = await playedDns();
  dns.set("empty.example", {});
  for (const domain of ["nowhere.example", "empty.example"]) {
    expect(await findHosts(domain, options)).toMatchObject({ why: "dns", permanent: "5.1.2" });
  }
});

test("a null MX takes no mail (RFC 7505)", async () => {
  const { dns, options } = await playedDns();
  dns.set("null.example", { MX: [mx(0, ".")], A: [one as string] });
  expect(await findHosts("null.example", options)).toMatchObject({ permanent: "5.1.10" });
});

test("our own name ends the list; alone it is a loop", async () => {
  const { dns, options } = await playedDns();
  dns.set("a.example", { MX: [mx(10, "first.example"), mx(20, "Relay.example"), mx(30, "last.example")] });
  dns.set("first.example", { A: [one as string] });
  dns.set("last.example", { A: [two as string] });
  expect(await findHosts("a.example", options)).toEqual([{ host: "first.example", addresses: [one] }]);
  dns.set("loop.example", { MX: [mx(10, "relay.example"), mx(10, "last.example")] });
  expect(await findHosts("loop.example", options)).toMatchObject({ permanent: "5.4.6" });
});

test("resolvers that fail are a reason to try again, not to bounce", async () => {
  const { dns, options } = await playedDns();
  dns.set("broken.example", "servfail");
  dns.set("half.example", { MX: [mx(10, "broken.example"), mx(20, "nowhere.example")] });
  for (const domain of ["broken.example", "half.example"]) {
    const failure = await findHosts(domain, options);
    expect(failure).toMatchObject({ why: "dns" });
    expect(failure).not.toHaveProperty("permanent");
  }
});

test("a mail host without an address is passed over; none with one is permanent", async () => {
  const { dns, options } = await playedDns();
  dns.set("a.example", { MX: [mx(10, "nowhere.example"), mx(20, "here.example")] });
  dns.set("here.example", { A: [one as string] });
  expect(await findHosts("a.example", options)).toEqual([{ host: "here.example", addresses: [one] }]);
  dns.set("b.example", { MX: [mx(10, "nowhere.example")] });
  expect(await findHosts("b.example", options)).toMatchObject({ permanent: "5.4.4" });
});

test.each(["127.0.0.1", "10.1.2.3", "192.168.1.1", "172.16.0.1", "169.254.169.254", "0.0.0.0", "100.64.0.1"])(
  "a domain can't lead to %s unless that is allowed",
  async (address) => {
    const { dns, options } = await playedDns();
    dns.set("inside.example", { MX: [mx(10, "mail.inside.example")] });
    dns.set("mail.inside.example", { A: [address] });
    for (const domain of ["inside.example", `[${address}]`]) {
      expect(await findHosts(domain, options)).toMatchObject({ permanent: "5.4.4" });
      expect(await findHosts(domain, { ...options, privateHosts: true })).toHaveLength(1);
    }
  },
);

test("recipients are grouped by domain, each group goes to its own hosts, and one outcome tells of all", async () => {
  const dns = await testDns();
  dns.set("a.example", { MX: [mx(10, "mail.a.example")] });
  dns.set("mail.a.example", { A: ["127.0.0.1"] });
  dns.set("b.example", { A: ["127.0.0.1"] });
  dns.set("null.example", { MX: [mx(0, ".")] });
  const house = await openHouse({ url: "mx:?private=allow", dnsServers: [dns.server] });
  const to = ["1@a.example", "2@b.example", "3@a.example", "4@null.example", "5@nowhere.example"];
  const result = await house.deliver({ to });
  const states = result.recipients.toSorted((x, y) => x.n - y.n).map(({ state, attempt }) => [state, attempt.remote]);
  expect(states).toEqual([
    ["delivered", "mail.a.example"],
    ["delivered", "b.example"],
    ["delivered", "mail.a.example"],
    ["bounced", null],
    ["bounced", null],
  ]);
  expect(house.upstream.received.map(({ rcpt }) => rcpt.length).sort()).toEqual([1, 2]);
});

test("when the first mail host does not answer well, the next one is tried", async () => {
  const dns = await testDns();
  dns.set("a.example", { MX: [mx(10, "one.a.example"), mx(20, "two.a.example")] });
  dns.set("one.a.example", { A: ["127.0.0.1"] });
  dns.set("two.a.example", { A: ["127.0.0.1"] });
  const script = { greeting: (connection: number) => (connection === 1 ? "421 4.3.2 Busy" : undefined) };
  const house = await openHouse({ url: "mx:?private=allow", dnsServers: [dns.server], script });
  const result = await house.deliver({ to: ["x@a.example"] });
  expect(shortOf(result)).toEqual(["delivered 250 2.0.0"]);
  expect(result.recipients[0]?.attempt.remote).toBe("two.a.example");
});

test("a domain that hangs holds up nobody else", async () => {
  const dns = await testDns();
  for (const name of ["slow.example", "quick.example"]) dns.set(name, { A: ["127.0.0.1"] });
  const script = { rcpt: (line: string) => (line.includes("slow") ? HANG : undefined) };
  const house = await openHouse({
    url: "mx:?private=allow&connections=4",
    dnsServers: [dns.server],
    script,
    tuning: { mxClaimed: 64 },
  });
  for (let i = 0; i < 200; i += 1) house.spool.store(makeTask({ to: ["x@slow.example"] }));
  for (let i = 0; i < 20; i += 1) house.spool.store(makeTask({ to: ["x@quick.example"] }));
  house.delivery.wake();
  await house.spool.settled(20);
  expect(house.spool.results.every(({ recipients }) => recipients[0]?.state === "delivered")).toBe(true);
  await house.delivery.drain(0);
});

test("many domains share a bounded number of connections, and all get their turn", async () => {
  const dns = await testDns();
  const domains = Array.from({ length: 12 }, (_, i) => `d${i}.example`);
  for (const name of domains) dns.set(name, { A: ["127.0.0.1"] });
  const patience = { connect: 5_000, setup: 5_000, command: 5_000, body: 5_000, end: 5_000, idle: 20 };
  const house = await openHouse({
    url: "mx:?private=allow&connections=4",
    dnsServers: [dns.server],
    tuning: { mxConnections: 3, patience },
  });
  let most = 0;
  const timer = setInterval(() => {
    most = Math.max(most, house.upstream.open());
  }, 1);
  for (const domain of domains) for (let i = 0; i < 5; i += 1) house.push({ to: [`x@${domain}`] });
  await house.spool.settled(60);
  clearInterval(timer);
  expect(most).toBeLessThanOrEqual(3);
  await vi.waitFor(() => expect(house.delivery.state().lanes).toEqual([]), { timeout: 20_000 });
});
