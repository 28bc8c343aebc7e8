import { type AddressInfo, createServer, type Server } from "node:net";
import { expect, test } from "vitest";
import type { Config } from "../../src/platform/config.ts";
import { portProblem } from "../../src/platform/listening.ts";

const config = {
  submissionHost: "127.0.0.1",
  submissionPort: 2587,
  submissionsPort: 2465,
  httpHost: "0.0.0.0",
  httpPort: 8080,
  metricsPort: 9090,
} as Config;

function failure(server: Server, port: number, host: string): Promise<Error> {
  const { promise, resolve, reject } = Promise.withResolvers<Error>();
  server.once("error", resolve).listen(port, host, () => server.close(() => reject(new Error("it listens"))));
  return promise;
}

test("a port that is taken is told with its setting", async () => {
  const holder = createServer();
  await new Promise<void>((resolve) => holder.listen(0, "127.0.0.1", resolve));
  const { port } = holder.address() as AddressInfo;
  const error = await failure(createServer(), port, "127.0.0.1");
  holder.close();
  const place = `127.0.0.1:${port} is in use by another program`;
  expect(portProblem(error, { ...config, submissionsPort: port })).toMatch(`POSTMETER_SUBMISSIONS_PORT: ${place}`);
  expect(portProblem(error, { ...config, metricsPort: port })).toMatch(`POSTMETER_METRICS_PORT: ${place}`);
});

test("an address of another machine is told with its setting", async () => {
  const error = await failure(createServer(), 2587, "192.0.2.1"); // RFC 5737: nobody's
  expect(portProblem(error, { ...config, submissionHost: "192.0.2.1" })).toBe(
    "POSTMETER_SUBMISSION_HOST=192.0.2.1: this machine has no such address",
  );
});

test("a port that only root may take, a host without an address, and a worker's error without one", () => {
  const listen = (more: object) => Object.assign(new Error("no"), { syscall: "listen", ...more });
  expect(
    portProblem(listen({ code: "EACCES", address: "127.0.0.1", port: 587 }), { ...config, submissionPort: 587 }),
  ).toBe("POSTMETER_SUBMISSION_PORT: 127.0.0.1:587: this user may not listen below port 1024: see docs/operations.md");
  const lost = Object.assign(new Error("no"), { syscall: "getaddrinfo", code: "ENOTFOUND", hostname: "relay.invalid" });
  expect(portProblem(lost, { ...config, httpHost: "relay.invalid" })).toBe(
    "POSTMETER_HTTP_HOST=relay.invalid: there is no such host",
  );
  expect(portProblem(listen({ syscall: "bind", code: "EADDRINUSE", address: null, port: 8080 }), config)).toMatch(
    "POSTMETER_HTTP_PORT: 0.0.0.0:8080 is in use",
  );
});

test("another error is left to others: a database that is away is no port of ours", () => {
  for (const error of [
    Object.assign(new Error("no"), { syscall: "connect", code: "ECONNREFUSED", address: "127.0.0.1", port: 5432 }),
    Object.assign(new Error("no"), { syscall: "getaddrinfo", code: "ENOTFOUND", hostname: "db.invalid" }),
    new Error("no"),
  ]) {
    expect(portProblem(error, config)).toBeUndefined();
  }
});
