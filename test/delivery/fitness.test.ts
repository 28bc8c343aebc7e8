import { expect, test } from "vitest";
import type { Peer } from "../../src/delivery/envelope.ts";
import { lookAt, needsLook, unfit } from "../../src/delivery/fitness.ts";
import { makeTask } from "./played-spool.ts";

const able: Peer = {
  host: "mx.example",
  pipelining: true,
  dsn: true,
  eightBit: true,
  utf8: true,
  size: true,
  maxBytes: 0,
};
const old: Peer = { ...able, eightBit: false, utf8: false };
const plain = { eightBit: false, eightBitHeader: false };

test("a message that declares nothing special needs no look", () => {
  const task = makeTask();
  expect(needsLook(task, task.recipients, old)).toBe(false);
});

test("a message that declares more than the peer offers is looked at", () => {
  for (const task of [
    makeTask({ eightBit: true }),
    makeTask({ smtpUtf8: true }),
    makeTask({ sender: "é@a.example" }),
  ]) {
    expect(needsLook(task, task.recipients, old)).toBe(true);
    expect(needsLook(task, task.recipients, able)).toBe(false);
  }
});

test("what was declared but is not there is no reason to bounce", () => {
  const task = makeTask({ eightBit: true, smtpUtf8: true });
  expect(unfit(task, task.recipients, old, plain)).toEqual([null]);
});

test("8-bit content to a peer without 8BITMIME bounces with 5.6.3", () => {
  const task = makeTask({ eightBit: true });
  const [verdict] = unfit(task, task.recipients, old, { eightBit: true, eightBitHeader: false });
  expect(verdict).toMatchObject({ kind: "bounced", enhanced: "5.6.3" });
});

test("UTF-8 headers to a peer without SMTPUTF8 bounce with 5.6.9", () => {
  const task = makeTask({ smtpUtf8: true });
  const peer = { ...old, eightBit: true };
  const [verdict] = unfit(task, task.recipients, peer, { eightBit: true, eightBitHeader: true });
  expect(verdict).toMatchObject({ kind: "bounced", enhanced: "5.6.9" });
});

test("only the recipients with UTF-8 addresses bounce, with 5.6.7; a UTF-8 sender takes all with it", () => {
  const task = makeTask({ smtpUtf8: true, to: ["bob@b.example", "jürgen@b.example"] });
  const verdicts = unfit(task, task.recipients, old, plain);
  expect(verdicts).toEqual([null, expect.objectContaining({ kind: "bounced", enhanced: "5.6.7" })]);
  const other = makeTask({ sender: "jürgen@a.example", to: ["bob@b.example"] });
  expect(unfit(other, other.recipients, old, plain)).toEqual([expect.objectContaining({ enhanced: "5.6.7" })]);
});

test("a message larger than the peer takes bounces with 5.3.4", () => {
  const task = makeTask({ sizeBytes: 2000 });
  const peer = { ...able, maxBytes: 1999 };
  expect(needsLook(task, task.recipients, peer)).toBe(true);
  expect(unfit(task, task.recipients, peer, plain)).toEqual([expect.objectContaining({ enhanced: "5.3.4" })]);
  expect(needsLook(task, task.recipients, { ...able, maxBytes: 2000 })).toBe(false);
});

test.each([
  [["Subject: x\r\n\r\nplain\r\n"], plain],
  [["Subject: x\r\n\r\npl\xe4in\r\n"], { eightBit: true, eightBitHeader: false }],
  [["Subject: \xe4\r\n\r\nplain\r\n"], { eightBit: true, eightBitHeader: true }],
  [["Subject: x\r\n\r", "\n\xe4\r\n"], { eightBit: true, eightBitHeader: false }],
  [["Subject: x\r\n", "\r\n", "a", "\xe4"], { eightBit: true, eightBitHeader: false }],
  [["Subject: x\r\n", "X: \xe4\r\n", "\r\n"], { eightBit: true, eightBitHeader: true }],
  [["no end of the header"], plain],
])("%j is looked through", async (parts, content) => {
  expect(await lookAt(parts.map((part) => Buffer.from(part, "latin1")))).toEqual(content);
});
