import { once } from "node:events";
import { copyFileSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { connect, createServer } from "node:tls";
import { afterEach, beforeEach, expect, test } from "vitest";
import { openTls } from "../../src/platform/tls.ts";

let dataDir: string;
beforeEach(() => {
  dataDir = mkdtempSync(join(tmpdir(), "postmeter-tls-"));
});
afterEach(() => rmSync(dataDir, { recursive: true, force: true }));

const selfSigned = (hostname = "mail.example") => openTls({ cert: "", key: "", hostname, dataDir });

test("a client that is given the self-signed certificate can verify the server by name and by address", async () => {
  const tls = await selfSigned();
  const server = createServer(tls.context(), (socket) => socket.end("hello"));
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as { port: number };
  for (const servername of ["mail.example", "localhost"]) {
    const socket = connect({ host: "127.0.0.1", port, servername, ca: readFileSync(tls.certificateFile) });
    await once(socket, "secureConnect");
    expect(socket.authorized).toBe(true);
    socket.destroy();
  }
  server.close();
});

test("the self-signed certificate stays the same over starts, and its key is for its owner only", async () => {
  const first = await selfSigned();
  const second = await selfSigned();
  expect(second.context().cert).toBe(first.context().cert);
  expect(statSync(join(dataDir, "tls-key.pem")).mode & 0o777).toBe(0o600);
  expect(first.selfSigned).toBe(true);
});

test("another host name, or a key that is gone, makes a new self-signed certificate", async () => {
  const first = await selfSigned();
  const renamed = await selfSigned("other.example");
  expect(renamed.context().cert).not.toBe(first.context().cert);
  rmSync(join(dataDir, "tls-key.pem"));
  expect((await selfSigned("other.example")).context().cert).not.toBe(renamed.context().cert);
});

test("reload takes new files, and goes on with the old pair when they are no good", async () => {
  await selfSigned();
  const cert = join(dataDir, "given.crt");
  const key = join(dataDir, "given.key");
  copyFileSync(join(dataDir, "tls-cert.pem"), cert);
  copyFileSync(join(dataDir, "tls-key.pem"), key);
  const tls = await openTls({ cert, key, hostname: "mail.example", dataDir });
  const before = tls.context().cert;

  const otherDir = join(dataDir, "other");
  await openTls({ cert: "", key: "", hostname: "mail.example", dataDir: otherDir });
  copyFileSync(join(otherDir, "tls-cert.pem"), cert);
  await expect(tls.reload()).rejects.toThrow("is not the key of");
  expect(tls.context().cert).toBe(before);

  copyFileSync(join(otherDir, "tls-key.pem"), key);
  await tls.reload();
  expect(tls.context().cert).toBe(readFileSync(cert, "utf8"));
});

test("a file that is missing or holds something else is named", async () => {
  await selfSigned();
  const [cert, key] = [join(dataDir, "tls-cert.pem"), join(dataDir, "tls-key.pem")];
  const open = (files: { cert: string; key: string }) => openTls({ ...files, hostname: "x", dataDir });
  await expect(open({ cert: join(dataDir, "no.crt"), key })).rejects.toThrow(/no\.crt \(POSTMETER_TLS_CERT\).*ENOENT/);
  const junk = join(dataDir, "junk");
  writeFileSync(junk, "nothing");
  await expect(open({ cert: junk, key })).rejects.toThrow("no certificate");
  await expect(open({ cert, key: junk })).rejects.toThrow("no private key");
});
