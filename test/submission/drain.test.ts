import { describe, expect, test } from "vitest";
import { eventually } from "../support/eventually.ts";
import { Client, ready } from "./client.ts";
import { startHouse } from "./house.ts";

const DATA = ["MAIL FROM:<app@customer.example>", "RCPT TO:<a@one.example>", "DATA"];

describe("the end of the server", () => {
  test("tells the idle, lets a message finish, and takes no new connection", async () => {
    const house = await startHouse();
    const { submission, submissions } = house.submission.ports;
    const idle = await ready(submission);
    const sending = await ready(submission);
    for (const line of DATA) await sending.command(line);
    sending.write("From: app@customer.example\r\n\r\nfirst half, ");
    const drained = house.submission.drain();
    expect(await idle.reply()).toEqual(["421 4.3.2 Service shutting down, try again later"]);
    await idle.end();
    idle.destroy();
    await expect(Client.connect(submission)).rejects.toThrow("ECONNREFUSED");
    await expect(Client.connectSecure(submissions as number)).rejects.toThrow("ECONNREFUSED");
    sending.write("second half\r\n.\r\n");
    expect((await sending.reply())[0]).toMatch(/^250 2\.0\.0 Accepted as msg_/);
    expect((await sending.reply())[0]).toMatch(/^421 4\.3\.2/);
    await sending.end();
    sending.destroy();
    await drained;
    expect(house.accepted).toHaveLength(1);
    expect((await house.metrics.connections.get()).values[0]?.value).toBe(0);
  });

  test("lets a message that was begun be sent, and the first one of who has just come, then tells them", async () => {
    const house = await startHouse();
    const { submission } = house.submission.ports;
    const begun = await ready(submission);
    await begun.command(DATA[0] as string);
    const fresh = await ready(submission);
    const drained = house.submission.drain();
    for (const [client, lines] of [
      [begun, DATA.slice(1)],
      [fresh, DATA],
    ] as const) {
      for (const line of lines) expect(await client.command(line)).toMatch(/^(250|354)/);
      client.write("From: app@customer.example\r\n\r\nx\r\n.\r\n");
      expect((await client.reply())[0]).toMatch(/^250 2\.0\.0 Accepted as msg_/);
      expect((await client.reply())[0]).toMatch(/^421 4\.3\.2/);
      client.destroy();
    }
    await drained;
    expect(house.accepted).toHaveLength(2);
  });

  test("a client between two messages is told at once", async () => {
    const house = await startHouse();
    const client = await ready(house.submission.ports.submission);
    for (const line of DATA) await client.command(line);
    client.write("From: app@customer.example\r\n\r\nx\r\n.\r\n");
    expect((await client.reply())[0]).toMatch(/^250/);
    const drained = house.submission.drain();
    expect((await client.reply())[0]).toMatch(/^421 4\.3\.2/);
    client.destroy();
    await drained;
  });

  test("waits for an answer that is under way", async () => {
    const house = await startHouse();
    let release = () => {};
    house.world.hold = new Promise((resolve) => {
      release = resolve;
    });
    const client = await ready(house.submission.ports.submission);
    for (const line of DATA) await client.command(line);
    client.write("From: app@customer.example\r\n\r\nx\r\n.\r\n");
    await eventually(() => expect(house.reservations).toHaveLength(1));
    const drained = house.submission.drain();
    release();
    expect((await client.reply())[0]).toMatch(/^250/);
    client.destroy();
    await drained;
  });

  test("does not wait longer than its patience, and cuts off without an answer", async () => {
    const house = await startHouse();
    const client = await ready(house.submission.ports.submission);
    for (const line of DATA) await client.command(line);
    client.write("From: app@customer.example\r\n\r\nnever ");
    await house.submission.drain(50);
    expect(await client.end()).toBe("");
    expect(house.accepted).toHaveLength(0);
  });

  test("drops who was not greeted yet", async () => {
    const house = await startHouse();
    const client = await Client.connect(house.submission.ports.submissions as number);
    await house.submission.drain();
    expect(await client.end()).toBe("");
  });

  test("a port that is taken fails the start and leaves no port open", async () => {
    const house = await startHouse();
    const taken = house.submission.ports.submission;
    await expect(startHouse({ config: { submissionPort: taken } })).rejects.toThrow("EADDRINUSE");
  });
});
