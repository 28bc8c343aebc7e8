/** How the program is run: certificates are renewed without a restart, a data folder has one user, the books can be proven. */
import { spawn } from "node:child_process";
import { copyFileSync, mkdtempSync, rmSync } from "node:fs";
import { connect as connectPlain } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { connect } from "node:tls";
import { afterAll, expect, test, vi } from "vitest";
import { makeCertificate } from "../../src/platform/tls-self-signed.ts";
import { openConnection } from "../bench/connection.ts";
import { createDatabase } from "../support/database.ts";
import { createTenant, eventually, makeHome, program, startRelay } from "../support/relay.ts";
import { makeLetter, readers, sendLetter, startLoad } from "../support/sessions.ts";

vi.setConfig({ testTimeout: 180_000 });

const folder = mkdtempSync(join(tmpdir(), "postmeter-certificates-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const certFile = join(folder, "cert.pem");
const keyFile = join(folder, "key.pem");

async function putCertificate(hostname: string): Promise<void> {
  const made = { certFile: join(folder, `${hostname}.pem`), keyFile: join(folder, `${hostname}-key.pem`) };
  await makeCertificate({ ...made, hostname });
  copyFileSync(made.certFile, certFile);
  copyFileSync(made.keyFile, keyFile);
}

/** The name on the certificate that a new client is shown after STARTTLS. */
function shownName(port: number): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connectPlain(port, "127.0.0.1");
    const said: string[] = [];
    socket.on("error", reject);
    socket.on("data", (chunk) => {
      said.push(chunk.toString());
      if (said.length === 1) socket.write("EHLO client.example\r\n");
      else if (said.join("").endsWith("Ready to start TLS\r\n")) {
        socket.removeAllListeners("data");
        const secure = connect({ socket, rejectUnauthorized: false }, () => {
          resolve(String(secure.getPeerCertificate().subject.CN));
          secure.destroy();
        });
        secure.on("error", reject);
      } else if (said.length === 2) socket.write("STARTTLS\r\n");
    });
  });
}

test("a certificate that was replaced serves the next client after SIGHUP, and no open session notices", async () => {
  await putCertificate("old.example");
  const env = { POSTMETER_TLS_CERT: certFile, POSTMETER_TLS_KEY: keyFile };
  const relay = await startRelay({ databaseUrl: await createDatabase(), env });
  const tenant = await createTenant(relay, { limit: 10 });
  const { submission: port } = relay.ports;
  const open = await openConnection({ port, tls: "starttls", login: tenant });
  expect(await shownName(port)).toBe("old.example");
  await putCertificate("new.example");
  expect(await shownName(port)).toBe("old.example");
  relay.child.kill("SIGHUP");
  await eventually(async () => (await shownName(port)) === "new.example", "the new certificate is shown");
  expect(await sendLetter(open, makeLetter(readers(1)))).toMatchObject({ knowledge: "accepted" });
  copyFileSync(certFile, keyFile);
  relay.child.kill("SIGHUP");
  await eventually(async () => relay.log.some((line) => line.event === "tls.reload_failed"), "a bad pair is refused");
  expect(await shownName(port)).toBe("new.example");
  open.end();
});

/** A command of the program, to its end. */
function run(args: readonly string[], env: Record<string, string>) {
  const child = spawn(process.execPath, [program, ...args], { env: { PATH: process.env.PATH, ...env } });
  let out = "";
  let err = "";
  child.stdout.on("data", (chunk) => (out += chunk));
  child.stderr.on("data", (chunk) => (err += chunk));
  return new Promise<{ code: number | null; out: string; err: string }>((resolve) =>
    child.once("exit", (code) => resolve({ code, out, err })),
  );
}

test("a start that can't be is told in one line: a port that is taken, a database that is away", async () => {
  const databaseUrl = await createDatabase();
  const relay = await startRelay({ databaseUrl });
  const port = String(relay.ports.submission);
  const { folder, secret, operatorKey } = makeHome();
  const env = {
    POSTMETER_DATABASE_URL: databaseUrl,
    POSTMETER_DATA_DIR: folder,
    POSTMETER_SECRET: secret,
    POSTMETER_OPERATOR_KEY: operatorKey,
    POSTMETER_UPSTREAM_URL: "capture:",
    POSTMETER_SUBMISSION_PORT: port,
    POSTMETER_HTTP_PORT: "0",
    POSTMETER_LOG_LEVEL: "error",
  };
  expect(await run(["serve"], env)).toMatchObject({
    code: 1,
    err: `postmeter: POSTMETER_SUBMISSION_PORT: 127.0.0.1:${port} is in use by another program: end that, or set another port\n`,
  });
  expect(await run(["serve"], { ...env, POSTMETER_DATABASE_URL: "postgres://127.0.0.1:1/x" })).toMatchObject({
    code: 1,
    err: "postmeter: PostgreSQL can't be reached: connect ECONNREFUSED 127.0.0.1:1 (POSTMETER_DATABASE_URL)\n",
  });
});

test("a second instance on one data folder is refused in one line; the books of the first are proven by a command", async () => {
  const home = makeHome();
  const relay = await startRelay({ databaseUrl: "", home });
  const tenant = await createTenant(relay, { limit: 30 });
  const load = startLoad({ ports: () => [relay.ports.submission], senders: [tenant], sessions: 4, messages: 40 });
  await load.done;
  const env = {
    POSTMETER_DATA_DIR: home.folder,
    POSTMETER_SECRET: home.secret,
    POSTMETER_OPERATOR_KEY: home.operatorKey,
    POSTMETER_UPSTREAM_URL: "capture:",
    POSTMETER_SUBMISSION_PORT: "0",
    POSTMETER_SUBMISSIONS_PORT: "0",
    POSTMETER_HTTP_PORT: "0",
  };
  const second = await run(["serve"], env);
  expect(second).toMatchObject({ code: 1, out: "" });
  expect(second.err).toMatch(
    new RegExp(
      `^postmeter: ${home.folder} is in use by another running Postmeter \\(process ${relay.child.pid}\\).*\\n$`,
    ),
  );
  const verified = await run(["ledger", "verify"], env);
  expect(verified).toMatchObject({ code: 0 });
  expect(await relay.stop()).toBe(0);
  const offline = await run(["ledger", "verify", "--json"], env);
  expect(offline).toMatchObject({ code: 0 });
});
