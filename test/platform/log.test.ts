import { spawnSync } from "node:child_process";
import { Writable } from "node:stream";
import { expect, test, vi } from "vitest";
import { createLog, type Log } from "../../src/platform/log.ts";

function logged(use: (log: Log) => void): Record<string, unknown>[] {
  const lines: string[] = [];
  const stream = new Writable({
    write(chunk: Buffer, _encoding, done) {
      lines.push(String(chunk));
      done();
    },
  });
  use(createLog("debug", stream));
  return lines.map((line) => JSON.parse(line));
}

test("an event is one JSON line with its level and time", () => {
  const [line] = logged((log) => log.info({ event: "message.accepted", message_id: "msg_1", units: 2 }));
  expect(line).toEqual({
    level: "info",
    time: expect.stringMatching(/^\d{4}-.*Z$/),
    event: "message.accepted",
    message_id: "msg_1",
    units: 2,
  });
});

test("a secret is redacted by its name, at any depth and in any spelling of case", () => {
  const secret = "hunter2";
  const fields = {
    password: secret,
    Authorization: secret,
    user: { secret, keys: [{ key: secret }, { api_key: secret }] },
    a: { b: { c: { token: secret } } },
  };
  const lines = logged((log) => {
    log.info(fields);
    log.child({ token: secret }).info({ event: "child" });
  });
  expect(JSON.stringify(lines)).not.toContain(secret);
  expect(lines[0]).toMatchObject({ password: "[redacted]", a: { b: { c: { token: "[redacted]" } } } });
});

test("a flat event is written as any other one: each kind of value, in order, with what a child holds", () => {
  const event = { event: "odd", text: 'a"\\\n\u0001', n: 1.5, none: null, yes: true, nan: Number.NaN, gone: undefined };
  const lines: string[] = [];
  const log = createLog("debug", { write: (line: string) => lines.push(line) } as never).child({ pid: 7 });
  log.warn(event);
  log.warn({ ...event, list: [] }); // takes the general way
  const [flat, general] = lines.map((line) => line.replace(/"time":"[^"]+",/, ""));
  expect(flat).toBe(general?.replace(',"list":[]', ""));
  expect(JSON.parse(flat as string)).toMatchObject({ level: "warn", pid: 7, n: 1.5, none: null, nan: null });
});

test("a flat event hides what it must, also under a name that was harmless before", () => {
  const lines = logged((log) => {
    for (const name of ["password", "PassWord", "api_key"]) log.info({ event: "flat", [name]: "hunter2", note: "x" });
    log.info({ event: "flat", note: "pm_live_hunter2" });
    log.info({ event: "flat", note: "smtp://app:hunter2@mail.example" });
  });
  expect(lines).toHaveLength(5);
  expect(JSON.stringify(lines)).not.toContain("hunter2");
});

test("the time of a line is the clock's, to the millisecond", () => {
  vi.useFakeTimers();
  try {
    for (const time of ["2026-12-31T23:59:59.999Z", "2027-01-01T00:00:00.000Z", "2027-01-01T00:00:00.042Z"]) {
      vi.setSystemTime(new Date(time));
      expect(logged((log) => log.info({ event: "tick" }))[0]).toMatchObject({ time });
    }
  } finally {
    vi.useRealTimers();
  }
});

// What is on its way to the descriptor when a process ends may come behind what was waiting: each line says its time.
test("a process that ends has written all its lines, once each", () => {
  const program = `
    const { createLog } = await import("./src/platform/log.ts");
    const log = createLog("info", 1);
    for (let n = 0; n < 1000; n += 1) log.info({ event: "tick", n, text: "é".repeat(20) });
    process.exit(0);`;
  const { stdout } = spawnSync(process.execPath, ["--input-type=module", "-e", program], { encoding: "utf8" });
  const numbers = stdout
    .trimEnd()
    .split("\n")
    .map((line) => JSON.parse(line).n);
  expect(numbers.sort((a, b) => a - b)).toEqual(Array.from({ length: 1000 }, (_, n) => n));
});

test("our keys and passwords in URLs are redacted wherever a text holds them", () => {
  const lines = logged((log) => {
    log.warn({
      event: "upstream.failed",
      route: "smtp://app:hunter2@mail.example:587",
      note: "key pm_live_abc234 was refused",
    });
    log.error({ event: "failed", error: new Error("connect postgresql://u:hunter2@db.example/x") });
    log.error({ err: new Error("bad pm_op_hunter2") });
  });
  expect(JSON.stringify(lines)).not.toMatch(/hunter2|abc234/);
  expect(lines[0]).toMatchObject({
    route: "smtp://app:[redacted]@mail.example:587",
    note: "key pm_live_[redacted] was refused",
  });
});

test("no text ends a line or moves a terminal, and all of it is still there", () => {
  const text = "a\r\nb\u0085c\u2028d\u2029e\u001b[2Jf\u009b2Jg\u007fh\u202ei";
  let line = "";
  const stream = new Writable({
    write(chunk: Buffer, _encoding, done) {
      line += String(chunk);
      done();
    },
  });
  createLog("debug", stream).info({ event: "auth.failed", username: text });
  expect(line.slice(0, -1)).toMatch(/^[ -~]+$/);
  expect(line.endsWith("\n")).toBe(true);
  expect(JSON.parse(line).username).toBe(text);
});

test("bytes are counted, not written, and a circle ends", () => {
  const circle: Record<string, unknown> = { event: "odd", bytes: Buffer.from("secret content") };
  circle.self = circle;
  const [line] = logged((log) => log.info(circle));
  expect(line?.bytes).toBe("[14 bytes]");
});

test("what is below the level costs nothing and writes nothing", () => {
  expect(logged((log) => log.trace({ event: "hidden" }))).toEqual([]);
});
