import { expect, test } from "vitest";
import { parseRoute } from "../../src/delivery/route.ts";

test.each([
  ["smtp://mail.example:2525", { host: "mail.example", port: 2525, tls: "opportunistic", credentials: null }],
  ["smtp://mail.example", { port: 25, tls: "opportunistic" }],
  ["smtp://mail.example?tls=none", { tls: "none" }],
  ["smtp://mail.example:25?tls=required", { tls: "required", credentials: null }],
  ["smtp://u:p@mail.example", { port: 587, tls: "required", credentials: { user: "u", pass: "p" } }],
  ["smtp://u%40x:p%3Aq@mail.example:587", { credentials: { user: "u@x", pass: "p:q" } }],
  ["smtps://mail.example", { port: 465, tls: "implicit" }],
  ["smtps://u:p@mail.example:4650", { port: 4650, tls: "implicit", credentials: { user: "u", pass: "p" } }],
  ["smtp://[::1]:25", { host: "::1", name: "smtp://[::1]:25" }],
  ["smtp://mail.example?connections=3&messages=50", { connections: 3, messagesPerConnection: 50 }],
  ["mx:", { kind: "mx", privateHosts: false }],
  ["mx:?private=allow&connections=2", { kind: "mx", privateHosts: true, connections: 2 }],
  ["capture:", { kind: "capture" }],
])("%s is a route", (text, expected) => {
  expect(parseRoute(text)).toMatchObject(expected);
});

test.each([
  "",
  "mail.example:25",
  "http://mail.example",
  "smtp://",
  "smtp://mail.example:0",
  "smtp://mail.example:99999",
  "smtp://mail.example/path",
  "smtp://mail.example?tls=maybe",
  "smtp://mail.example?connections=0",
  "smtp://mail.example?connections=many",
  "smtp://mail.example?tsl=required",
  "smtp://user@mail.example",
  "smtp://:pass@mail.example",
  "smtp://u:%ff@mail.example",
  "mx:example.com",
  "mx://example.com",
  "capture:somewhere",
])("%s is refused", (text) => {
  expect(() => parseRoute(text)).toThrow(/This is no route/);
});

test.each(["smtp://u:p@mail.example?tls=none", "smtp://u:p@mail.example?tls=opportunistic", "smtps://h?tls=none"])(
  "a password never goes without verified TLS: %s",
  (text) => {
    expect(() => parseRoute(text)).toThrow(/TLS|tls/);
  },
);

test("neither a route's name nor a complaint about it shows a secret", () => {
  expect(JSON.stringify(parseRoute("smtp://user:hunter2@mail.example").name)).not.toContain("hunter2");
  for (const text of ["smtp://user:hunter2@mail.example?tls=none", "smtp://user:hunter2@mail.example/x"]) {
    expect(() => parseRoute(text)).toThrow(
      expect.not.objectContaining({ message: expect.stringContaining("hunter2") }),
    );
  }
});
