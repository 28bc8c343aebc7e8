/** The table of all that an upstream may do, played to a worker; and that the table sees it when the worker judges wrongly. */
import fc from "fast-check";
import { afterEach, beforeAll, describe, expect, test, vi } from "vitest";
import type { Exchange, Failure, Verdict } from "../../src/delivery/outcome.ts";
import type { Result } from "../../src/spool/message.ts";
import { behaviours, type Fate, type Stage, scriptOf, stages } from "../faults/upstream-table.ts";
import { CUT, everything, type Said } from "../support/upstream.ts";
import { type Certificate, makeCertificate } from "./certificate.ts";
import { openHouse, shortOf } from "./house.ts";

const once = { failures: 1, firstPauseMs: 60_000, longestPauseMs: 60_000 };
const patient = { connect: 20_000, setup: 20_000, command: 20_000, body: 20_000, end: 20_000, idle: 20_000 };

let certificate: Certificate;
beforeAll(async () => {
  certificate = await makeCertificate("127.0.0.1", "localhost");
});

const inSession: readonly Stage[] = ["greeting", "ehlo", "starttls", "auth"];

/**
 * For what hangs, only where it hangs: how long another stage takes must not decide. A yes to STARTTLS without TLS behind
 * it hangs, too, and every fate there is the same.
 */
function patienceFor(stage: Stage, hangs: boolean) {
  if (!hangs && stage !== "starttls") return patient;
  if (inSession.includes(stage)) return { ...patient, connect: 400, setup: 400 };
  return stage === "dot" ? { ...patient, end: 100 } : { ...patient, command: 100 };
}

function fateOf({ recipients }: Result): Fate {
  const [only] = recipients;
  if (only === undefined) throw new Error("no outcome");
  return only.attempt.indeterminate ? "unknown" : only.state;
}

type Cell = Readonly<{ stage: Stage; name: string; extensions: readonly string[] }>;

/** What is wrong with the outcome of one cell. */
async function faultsOf({ stage, name, extensions }: Cell, open: typeof openHouse): Promise<string[]> {
  const behaviour = behaviours[name]!;
  const needsTls = stage === "starttls" || stage === "auth";
  const house = await open({
    script: {
      ...scriptOf(stage, behaviour),
      extensions: needsTls ? [...extensions, "AUTH PLAIN"] : extensions,
      ...(needsTls && { certificate }),
    },
    ...(needsTls && { url: "smtp://user:secretword@127.0.0.1:PORT" }),
    tuning: { patience: patienceFor(stage, behaviour.hangs === true), breaker: once, ca: certificate.cert },
  });
  const result = await house.deliver();
  const { commands, received } = house.upstream;
  await house.delivery.drain(0);
  const [fate, expected] = [fateOf(result), behaviour.fates[stage]];
  const kept = result.route !== null;
  const { reply, enhanced } = result.recipients[0]!.attempt;
  const faults = [
    fate !== expected && `${fate}, not ${expected} (${shortOf(result)})`,
    (result.dsn !== null) !== (expected === "bounced") && "the sender is not told rightly",
    (result.dueAt === null) === (expected === "deferred" || expected === "unknown") && "its time is not right",
    kept !== (expected === "unknown") && "its route is not right",
    received.length > (expected === "delivered" || expected === "unknown" ? 1 : 0) && "a copy too many",
    /\p{Cc}/u.test(reply) && "control characters in the reply",
    enhanced !== null && (expected === "bounced") !== enhanced.startsWith("5") && expected !== "delivered" && enhanced,
    stage === "starttls" && commands.some((line) => /^(AUTH|MAIL)/.test(line)) && "something was sent in clear",
  ];
  return faults.filter((fault) => typeof fault === "string").map((fault) => `${name} at ${stage}: ${fault}`);
}

/** @returns what is wrong, over all behaviours at a stage, or over these. */
async function playStage(
  stage: Stage,
  extensions: readonly string[],
  { open = openHouse, names = Object.keys(behaviours) } = {},
): Promise<string[]> {
  const cells = names.map((name) => ({ stage, name, extensions }));
  const found = await Promise.all(cells.map((cell) => faultsOf(cell, open)));
  return found.flat();
}

describe.each([
  ["that pipelines", everything],
  ["that does not", ["8BITMIME"]],
])("whatever a peer %s does", (_name, extensions) => {
  test.each(stages)("at %s, the outcome is the table's", async (stage) => {
    expect(await playStage(stage, extensions)).toEqual([]);
  });
});

describe("control", () => {
  afterEach(() => {
    vi.doUnmock("../../src/delivery/outcome.ts");
    vi.resetModules();
  });

  type Outcome = typeof import("../../src/delivery/outcome.ts");

  async function judgedBy(change: (real: Outcome) => Partial<Outcome>): Promise<typeof openHouse> {
    vi.resetModules();
    vi.doMock("../../src/delivery/outcome.ts", async (original) => {
      const real = await original<Outcome>();
      return { ...real, ...change(real) };
    });
    return (await import("./house.ts")).openHouse;
  }

  test("a worker that takes silence after the dot for a yes is found", async () => {
    const open = await judgedBy(({ decide }) => ({
      decide: (exchange: Exchange) =>
        decide(exchange).map((v): Verdict => (v.indeterminate ? { ...v, kind: "delivered", indeterminate: false } : v)),
    }));
    const faults = await playStage("dot", everything, { open, names: ["silence", "the end (RST)"] });
    expect(faults).toContainEqual(expect.stringMatching(/^silence at dot: delivered, not unknown/));
    expect(faults).toContainEqual(expect.stringMatching(/^the end \(RST\) at dot: delivered, not unknown/));
  });

  test("a worker that bounces for a refused session is found", async () => {
    const open = await judgedBy(({ decideFailure }) => ({
      decideFailure: (failure: Failure) => {
        const bounce = failure.reply?.startsWith("5") === true;
        return decideFailure(bounce ? { ...failure, permanent: "5.7.1" } : failure);
      },
    }));
    expect(await playStage("greeting", everything, { open, names: ["5xx"] })).toContainEqual(
      expect.stringMatching(/^5xx at greeting: bounced, not deferred/),
    );
  });
});

/** RSET goes out before the message behind one that was refused at RCPT. */
test.each(Object.keys(behaviours))(
  "to RSET: %s, and the message behind it is delivered or put off, never lost",
  async (name) => {
    const { said, hangs } = behaviours[name]!;
    const rcpt = (line: string) => (line.includes("nobody") ? "550 5.1.1 unknown" : undefined);
    const patience = hangs ? { ...patient, command: 300 } : patient;
    const house = await openHouse({ script: { rcpt, rset: () => said }, tuning: { patience, breaker: once } });
    expect(fateOf(await house.deliver({ to: ["nobody@x.example"] }))).toBe("bounced");
    const fate = fateOf(await house.deliver());
    expect(house.upstream.commands).toContain("RSET");
    expect(fate).toBe(hangs ? "deferred" : "delivered");
    expect(house.upstream.received).toHaveLength(fate === "delivered" ? 1 : 0);
  },
);

test("whatever the answer to QUIT, what was delivered stays so, and the connection ends", async () => {
  const play = async (name: string) => {
    const { said } = behaviours[name]!;
    const house = await openHouse({ script: { quit: () => said }, tuning: { patience: { ...patient, idle: 50 } } });
    const fate = fateOf(await house.deliver());
    await vi.waitFor(() => expect(house.upstream.open()).toBe(0), { timeout: 20_000 });
    return [fate, house.upstream.connections()];
  };
  const all = await Promise.all(Object.keys(behaviours).map(play));
  expect(new Set(all.map(String))).toEqual(new Set(["delivered,1"]));
});

test("each of many recipients has its own fate, whatever the peer says of the others and of the message", async () => {
  const rcpt = fc.constantFrom("250 2.1.5 ok", "450 4.2.1 busy", "550 5.1.1 unknown", "hello");
  const data = fc.constantFrom("354 go", "451 4.3.0 later", "554 5.7.1 no");
  const end = fc.constantFrom<Said>("250 2.0.0 ok", "451 4.3.0 later", "554 5.6.0 spam", CUT);
  const fates: Record<string, string> = { "2": "delivered", "4": "deferred", "5": "bounced", h: "deferred" };
  const fateBy = (said: Said) => (typeof said === "string" ? fates[said[0] as string] : "unknown");
  const whole = fc.record({
    rcpts: fc.array(rcpt, { minLength: 1, maxLength: 6 }),
    data,
    end,
    pipelining: fc.boolean(),
  });
  await fc.assert(
    fc.asyncProperty(whole, async ({ rcpts, data, end, pipelining }) => {
      const script = {
        rcpt: (line: string) => rcpts[Number(/<r(\d+)@/.exec(line)?.[1])],
        ...(rcpts.some((said) => said.startsWith("2")) && { data: () => data }),
        end: () => end,
        extensions: pipelining ? everything : [],
      };
      const house = await openHouse({ script, tuning: { patience: patient, breaker: once } });
      const { recipients } = await house.deliver({ to: rcpts.map((_, i) => `r${i}@x.example`) });
      await house.delivery.drain(0);
      const found = recipients
        .toSorted((a, b) => a.n - b.n)
        .map((r) => (r.attempt.indeterminate ? "unknown" : r.state));
      const ofMessage = data.startsWith("3") ? fateBy(end) : fateBy(data);
      // A line that is no reply may be one too many: nobody can tell then to which recipient the others belong.
      const told = (said: string) => (said.startsWith("2") ? ofMessage : fateBy(said));
      expect(found).toEqual(rcpts.map((said) => (rcpts.includes("hello") ? "deferred" : told(said))));
    }),
    { numRuns: 80 },
  );
});

const optional = ["PIPELINING", "SIZE 50000000", "8BITMIME", "SMTPUTF8", "DSN"];
const subsets = Array.from({ length: 2 ** optional.length }, (_, bits) => optional.filter((_, i) => bits & (1 << i)));

test.each(subsets.map((extensions) => [extensions.join(", ") || "nothing", extensions] as const))(
  "a peer that offers %s hears of nothing else, and gets what it can take",
  async (_name, extensions) => {
    const house = await openHouse({ script: { extensions } });
    const offers = (name: string) => extensions.some((word) => word.startsWith(name));
    const bytes = [Buffer.from("Subject: x\r\n\r\nGrüße\r\n")];
    const to = ["jürgen@x.example", "bob@x.example"];
    const { recipients } = await house.deliver({
      to,
      bytes,
      eightBit: true,
      smtpUtf8: true,
      ret: "HDRS",
      envelopeId: "e1",
    });
    const said = house.upstream.commands.filter((line) => /^(MAIL|RCPT)/.test(line)).join("\n");
    for (const [name, word] of [
      ["SIZE", " SIZE="],
      ["8BITMIME", " BODY="],
      ["SMTPUTF8", " SMTPUTF8"],
      ["DSN", " ENVID="],
    ]) {
      if (!offers(name!)) expect(said).not.toContain(word);
      else if (said !== "") expect(said).toContain(word);
    }
    const states = recipients.toSorted((a, b) => a.n - b.n).map(({ state }) => state);
    const bob = offers("8BITMIME") ? "delivered" : "bounced";
    expect(states).toEqual([offers("SMTPUTF8") ? bob : "bounced", bob]);
    expect(house.upstream.received.length).toBe(bob === "delivered" ? 1 : 0);
  },
);
