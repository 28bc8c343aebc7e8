import { mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { TLSSocket } from "node:tls";
import { connect } from "node:tls";
import { describe, expect, test } from "vitest";
import { openTls } from "../../src/platform/tls.ts";
import { startSubmission } from "../../src/submission/server.ts";
import { eventually } from "../support/eventually.ts";
import { Client } from "./client.ts";
import { startHouse } from "./house.ts";

const names = (client: Client) => (client.socket as TLSSocket).getPeerCertificate().subject.CN;

describe("certificates", () => {
  test("another one serves new connections on both ports without a restart", async () => {
    const house = await startHouse();
    const other = await openTls({
      cert: "",
      key: "",
      hostname: "other.example",
      dataDir: mkdtempSync(join(tmpdir(), "pm-tls-")),
    });
    let current = house.tls;
    const submission = await startSubmission({ ...house.deps, tls: { context: () => current.context() } });
    const both = async () => {
      const secure = await Client.connectSecure(submission.ports.submissions as number);
      await secure.reply();
      const upgraded = await Client.connect(submission.ports.submission);
      await upgraded.reply();
      await upgraded.command("EHLO x.example");
      await upgraded.command("STARTTLS");
      await upgraded.starttls();
      const found = [names(secure), names(upgraded)];
      secure.destroy();
      upgraded.destroy();
      return found;
    };
    expect(await both()).toEqual(["relay.example", "relay.example"]);
    current = other;
    expect(await both()).toEqual(["other.example", "other.example"]);
    await submission[Symbol.asyncDispose]();
  });

  test("TLS before 1.2 is refused", async () => {
    const house = await startHouse();
    const socket = connect({
      port: house.submission.ports.submissions as number,
      host: "127.0.0.1",
      rejectUnauthorized: false,
      minVersion: "TLSv1",
      maxVersion: "TLSv1.1",
      ciphers: "DEFAULT@SECLEVEL=0",
    });
    await expect(
      new Promise((resolve, reject) => socket.once("secureConnect", resolve).once("error", reject)),
    ).rejects.toThrow();
  });
});

describe("a bad handshake", () => {
  test("on either port ends that connection only", async () => {
    const house = await startHouse();
    const { submission, submissions } = house.submission.ports;
    const clear = await Client.connect(submissions as number);
    clear.write("EHLO client.example\r\n");
    await clear.end();
    const garbled = await Client.connect(submission);
    await garbled.reply();
    await garbled.command("EHLO client.example");
    await garbled.command("STARTTLS");
    garbled.write("this is no TLS\r\n".repeat(10));
    await garbled.end();
    const gone = await Client.connect(submissions as number);
    gone.reset();
    await eventually(async () => expect((await house.metrics.connections.get()).values[0]?.value).toBe(0));
    const good = await Client.connectSecure(submissions as number);
    expect((await good.reply())[0]).toMatch(/^220/);
    good.destroy();
  });

  test("commands that were sent in clear behind STARTTLS are forgotten", async () => {
    const house = await startHouse();
    const client = await Client.connect(house.submission.ports.submission);
    await client.reply();
    await client.command("EHLO client.example");
    client.write("STARTTLS\r\nNOOP\r\nMAIL FROM:<app@customer.example>\r\n");
    expect((await client.reply())[0]).toMatch(/^220/);
    await client.starttls();
    expect(await client.command("EHLO client.example")).toMatch(/^250-relay\.example/);
    expect(await client.command("NOOP")).toMatch(/^250 /);
    client.destroy();
  });
});

test("STARTTLS works behind a command in the same packet", async () => {
  const house = await startHouse();
  const client = await Client.connect(house.submission.ports.submission);
  await client.reply();
  client.write("EHLO client.example\r\nNOOP\r\nSTARTTLS\r\n");
  for (const code of ["250-", "250 ", "220 "]) expect((await client.reply())[0]).toMatch(new RegExp(`^${code}`));
  await client.starttls();
  expect(await client.command("EHLO client.example")).toContain("AUTH PLAIN LOGIN");
  client.destroy();
});

test("ports are told, also the one that was taken freely, and no port is opened where none is wanted", async () => {
  const house = await startHouse({ config: { submissionsPort: 0 } });
  expect(house.submission.ports.submission).toBeGreaterThan(0);
  expect(house.submission.ports.submissions).toBeNull();
});
