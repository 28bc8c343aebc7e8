/** A submission server on loopback with a played house: one account, one limit, everything that is accepted kept. */
import { mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll } from "vitest";
import type { Authenticator, SendingAccount, SmtpAnswer } from "../../src/accounts/authenticate.ts";
import type { Refusal } from "../../src/metering/refusals.ts";
import { type Clock, createClock } from "../../src/platform/clock.ts";
import { type CredentialId, type MasterId, type MessageId, newId, type SubaccountId } from "../../src/platform/ids.ts";
import { createLog } from "../../src/platform/log.ts";
import { createMetrics } from "../../src/platform/metrics.ts";
import { openTls, type Tls } from "../../src/platform/tls.ts";
import type { Charge, Reservation } from "../../src/quota/gate.ts";
import type { InDoubt } from "../../src/spool/in-doubt.ts";
import type { Acceptance, Doubtful, Submission as Message } from "../../src/spool/message.ts";
import type { SubmissionDeps } from "../../src/submission/deps.ts";
import { type Submission, startSubmission } from "../../src/submission/server.ts";

export const clock: Clock = { offsetMs: 0, now: () => new Date("2026-11-22T05:27:00Z") };
const real = createClock();

/** What the rooms would say. A test may change it at any moment. */
export type World = {
  state: "active" | "pending" | "disabled" | "expired" | "suspended" | "closed" | "archived" | "revoked";
  publicMessage: string | null;
  limit: number | null;
  used: number;
  masterCap: number | null;
  masterUsed: number;
  /** Domains of the account; null: any. */
  domains: string[] | null;
  locked: boolean;
  anchorDay: number;
  acceptance: Acceptance["kind"] | "throws" | undefined; // undefined: by limit and cap
  retryAfterSeconds: number | null; // what the gate says of a full window
  gateOpen: boolean; // the gate lets all pass, as one that is behind does
  throws: Set<"authenticate" | "sending" | "senderAllowed" | "reserve" | "release" | "stage" | "refused">;
  hold: Promise<void> | undefined; // acceptance waits for it
  inDoubt: InDoubt["recognise"] | undefined; // undefined: nothing is
};

export type House = Readonly<{
  submission: Submission;
  world: World;
  accepted: Message[];
  staged: Map<MessageId, Buffer[]>;
  refused: Refusal[];
  unheard: Doubtful[]; // messages whose 250 the client can't have read
  reservations: Charge[]; // those not given back
  lines: Record<string, unknown>[]; // of the log
  metrics: ReturnType<typeof createMetrics>;
  tls: Tls;
  deps: SubmissionDeps;
}>;

export type HouseOptions = Readonly<{ config?: Partial<SubmissionDeps["config"]>; limits?: SubmissionDeps["limits"] }>;

let sharedTls: Promise<Tls> | undefined;

export function testTls(): Promise<Tls> {
  sharedTls ??= openTls({
    cert: "",
    key: "",
    hostname: "relay.example",
    dataDir: mkdtempSync(join(tmpdir(), "pm-tls-")),
  });
  return sharedTls;
}

export async function startHouse(options: HouseOptions = {}): Promise<House> {
  const tls = await testTls();
  const world: World = {
    state: "active",
    publicMessage: null,
    limit: 100,
    used: 0,
    masterCap: null,
    masterUsed: 0,
    domains: ["customer.example"],
    locked: false,
    anchorDay: 1,
    acceptance: undefined,
    retryAfterSeconds: 30,
    gateOpen: false,
    throws: new Set(),
    hold: undefined,
    inDoubt: undefined,
  };
  const kept = {
    accepted: [] as Message[],
    staged: new Map<MessageId, Buffer[]>(),
    refused: [] as Refusal[],
    unheard: [] as Doubtful[],
    reservations: [] as Charge[],
  };
  const lines: Record<string, unknown>[] = [];
  const log = createLog("debug", { write: (line: string) => lines.push(JSON.parse(line)) } as never);
  const metrics = createMetrics();
  const deps: SubmissionDeps = {
    config: {
      submissionHost: "127.0.0.1",
      submissionPort: 0,
      submissionsPort: "any",
      authCleartext: "loopback",
      hostname: "relay.example",
      maxMessageBytes: 1_000_000,
      maxRecipients: 5,
      trustedProxies: [],
      maxConnectionsPerClient: 1_000,
      ...options.config,
    },
    tls,
    clock,
    log,
    metrics,
    ...rooms(world, kept),
    ...(options.limits === undefined ? {} : { limits: options.limits }),
  };
  const submission = await startSubmission(deps);
  afterAll(() => submission[Symbol.asyncDispose]());
  return { submission, world, ...kept, lines, metrics, tls, deps };
}

type Kept = Pick<House, "accepted" | "staged" | "refused" | "unheard" | "reservations">;

function rooms(world: World, kept: Kept) {
  const masterId = newId<MasterId>(real);
  const subaccountId = newId<SubaccountId>(real);
  const credentialId = newId<CredentialId>(real);
  const principal = {
    kind: "subaccount",
    masterId,
    subaccountId,
    keyId: null,
    credentialId,
    scopes: ["send"],
  } as const;
  const account = {
    kind: "sending",
    principal,
    masterId,
    subaccountId,
    credentialId,
    own: false,
    sandbox: false,
  } as const;
  const facts = (): SmtpAnswer | { kind: "revoked" } => {
    const { state, publicMessage, domains, anchorDay } = world;
    const calendar = { anchorDay, timeZone: "UTC" };
    if (state === "revoked") return { kind: "revoked" };
    if (state !== "active") return { kind: "inactive", state, publicMessage };
    return { ...account, calendar, senderPolicy: domains === null ? "any" : "verified" };
  };
  const failing = (name: typeof world.throws extends Set<infer T> ? T : never) => {
    if (world.throws.has(name)) throw new Error(`played failure of ${name}`);
  };
  const over = (units: number) => {
    const full = (used: number, cap: number | null) => cap !== null && used + Math.max(units, 1) > cap;
    if (full(world.used, world.limit))
      return { account: "subaccount", used: world.used, cap: world.limit as number } as const;
    if (full(world.masterUsed, world.masterCap))
      return { account: "master", used: world.masterUsed, cap: world.masterCap as number } as const;
    return undefined;
  };
  return {
    authenticate: (async (username, password) => {
      failing("authenticate");
      if (world.locked) return { kind: "locked" };
      return username === "app" && password === "secret" ? facts() : { kind: "denied", locked: false };
    }) as Authenticator["smtp"],
    sending: (async () => {
      failing("sending");
      return facts();
    }) as Authenticator["sending"],
    senderAllowed: (_: SendingAccount, domain: string) => {
      failing("senderAllowed");
      return world.domains === null || world.domains.some((own) => domain === own || domain.endsWith(`.${own}`));
    },
    gate: {
      async reserve(charge: Charge): Promise<Reservation> {
        failing("reserve");
        const found = world.gateOpen ? undefined : over(charge.units);
        if (found !== undefined) return { kind: "over", ...found, resetsAt: charge.period.end };
        if (charge.units > 0) kept.reservations.push(charge);
        return { kind: "reserved" };
      },
      async release(charge: Charge) {
        failing("release");
        kept.reservations.splice(kept.reservations.indexOf(charge), 1);
      },
      rateReached: async () => ({ kind: "rate", retryAfterSeconds: world.retryAfterSeconds }) as const,
    },
    createStage: (id: MessageId) => {
      const parts: Buffer[] = [];
      return {
        get parts() {
          return parts.length;
        },
        async write(pieces: readonly Uint8Array[]) {
          failing("stage");
          parts.push(Buffer.concat(pieces));
          kept.staged.set(id, parts);
        },
        async discard() {
          parts.length = 0;
          kept.staged.delete(id);
        },
      };
    },
    accept: async (message: Message): Promise<Acceptance> => {
      await world.hold;
      if (world.acceptance === "throws") throw new Error("played failure of accept");
      const kind = world.acceptance ?? (over(message.units) === undefined ? "accepted" : "over");
      const resetsAt = message.period.end;
      if (kind === "over") {
        return { kind, resetsAt, ...(over(message.units) ?? { account: "subaccount", used: 100, cap: 100 }) };
      }
      if (kind !== "accepted") return { kind };
      world.used += message.units;
      world.masterUsed += message.units;
      kept.accepted.push(message);
      return { kind, id: message.id };
    },
    inDoubt: {
      any: () => world.inDoubt !== undefined,
      recognise: (message: Message, addedBytes: number) => world.inDoubt?.(message, addedBytes),
      note: (doubtful: Doubtful) => void kept.unheard.push(doubtful),
    },
    refused: (refusal: Refusal) => {
      failing("refused");
      kept.refused.push(refusal);
    },
  };
}

/** The whole message as it is stored. */
export function stored(house: Pick<House, "staged">, message: Message): Buffer {
  return Buffer.concat([...message.partZero, ...(house.staged.get(message.id) ?? [])]);
}
