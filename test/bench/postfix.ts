/**
 * Debian's Postfix as the peer, in an instance of its own: own configuration, queue, data and master process. It relays
 * all it takes from loopback to the sink, without AUTH, TLS, milters or address tables: as little work as it can have.
 *
 * What differs from Debian's defaults stands in `settings`, and each line favours Postfix. With no syslog daemon about,
 * its log lines go nowhere, which favours it too.
 */
import { execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { chownSync, mkdirSync, statfsSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";
import { answers, freePort } from "./ports.ts";
import type { Absent, Target, TargetName } from "./target.ts";

const run = promisify(execFile);
const tmpfsMagic = 0x01021994;

/** Compiled-in facts of the installed Postfix: where its daemons are and whom they run as. */
async function readInstallation() {
  const names = ["daemon_directory", "shlib_directory", "meta_directory", "mail_owner", "setgid_group", "mail_version"];
  const { stdout } = await run("postconf", ["-h", ...names]);
  const [daemons = "", shlib = "", meta = "", owner = "", group = "", version = ""] = stdout.trimEnd().split("\n");
  const uid = Number((await run("id", ["-u", owner])).stdout);
  const gid = Number((await run("getent", ["group", group])).stdout.split(":")[2]);
  return { daemons, shlib, meta, uid, gid, version };
}

const services = `
cleanup   unix  n  -  n  -    0  cleanup
qmgr      unix  n  -  n  300  1  qmgr
rewrite   unix  -  -  n  -    -  trivial-rewrite
bounce    unix  -  -  n  -    0  bounce
defer     unix  -  -  n  -    0  bounce
trace     unix  -  -  n  -    0  bounce
verify    unix  -  -  n  -    1  verify
flush     unix  n  -  n  1000? 0 flush
proxymap  unix  -  -  n  -    -  proxymap
proxywrite unix -  -  n  -    1  proxymap
smtp      unix  -  -  n  -    -  smtp
relay     unix  -  -  n  -    -  smtp
showq     unix  n  -  n  -    -  showq
error     unix  -  -  n  -    -  error
retry     unix  -  -  n  -    -  error
discard   unix  -  -  n  -    -  discard
anvil     unix  -  -  n  -    1  anvil
scache    unix  -  -  n  -    1  scache
`;

const settings = (folder: string, sinkPort: number, extra: readonly string[]): string => `
compatibility_level = 3.6
queue_directory = ${folder}/queue
data_directory = ${folder}/data
inet_interfaces = loopback-only
inet_protocols = ipv4
myhostname = postfix.bench.example
mydestination =
alias_maps =
local_recipient_maps =
mynetworks = 127.0.0.0/8
smtpd_relay_restrictions = permit_mynetworks, reject
smtpd_recipient_restrictions =
relayhost = [127.0.0.1]:${sinkPort}
disable_dns_lookups = yes
smtpd_peername_lookup = no
default_process_limit = 250
smtpd_client_connection_count_limit = 0
smtpd_tls_security_level = none
smtp_tls_security_level = none
syslog_name = postmeter-bench
${extra.join("\n")}
`;

export type PostfixOrder = Readonly<{
  name: Extract<TargetName, `postfix-${string}`>;
  folder: string; // empty, of its own
  sinkPort: number;
  settings: readonly string[]; // name = value, after ours
  preload: string | null; // a library that its daemons are to load
}>;

export async function startPostfix(order: PostfixOrder): Promise<Target | Absent> {
  const { name, folder, sinkPort } = order;
  if (process.platform !== "linux") return { name, why: "the peer is Debian's Postfix" };
  if (process.getuid?.() !== 0) return { name, why: "Postfix can only be started by root" };
  const installed = await readInstallation().catch(() => undefined);
  if (installed === undefined) return { name, why: "Postfix is not installed (apt-get install postfix)" };
  const onTmpfs = statfsSync(join(folder, "..")).type === tmpfsMagic;
  if (onTmpfs !== (name === "postfix-tmpfs")) return { name, why: `${folder} is ${onTmpfs ? "" : "not "}on tmpfs` };

  const port = await freePort();
  const { preload } = order;
  const further =
    preload === null
      ? order.settings
      : [...order.settings, "import_environment = MAIL_CONFIG MAIL_DEBUG MAIL_LOGTAG TZ LANG=C LD_PRELOAD"];
  layOut(folder, installed, port, settings(folder, sinkPort, further));
  const master = spawn(`${installed.daemons}/master`, ["-c", join(folder, "etc"), "-d"], {
    stdio: ["ignore", "ignore", "inherit"],
    env: { PATH: "/usr/sbin:/usr/bin:/sbin:/bin", ...(preload === null ? {} : { LD_PRELOAD: preload }) },
  });
  const ended = once(master, "exit");
  const stop = async (): Promise<void> => {
    master.kill("SIGTERM");
    await ended;
  };
  if (!(await answers(port, 10_000))) {
    await stop();
    return { name, why: "Postfix did not open its port within 10 s" };
  }
  return {
    name,
    about: `Postfix ${installed.version}, queue on ${onTmpfs ? "tmpfs" : "disk"}, no AUTH${order.settings.map((s) => `, ${s}`).join("")}`,
    ports: { off: port },
    logins: [],
    roots: [{ name: "postfix", pid: master.pid! }],
    books: () => Promise.resolve([]),
    verify: () => Promise.resolve(null),
    [Symbol.asyncDispose]: stop,
  };
}

type Installation = Awaited<ReturnType<typeof readInstallation>>;

/** The folders as Postfix's own installer makes them, and the two files. */
function layOut(folder: string, { daemons, shlib, meta, uid, gid }: Installation, port: number, main: string): void {
  const make = (path: string, mode: number, owner: number, group = 0): void => {
    mkdirSync(join(folder, path), { recursive: true, mode });
    chownSync(join(folder, path), owner, group);
  };
  make("etc", 0o755, 0);
  make("data", 0o700, uid);
  make("queue", 0o755, 0);
  make("queue/pid", 0o755, 0);
  for (const name of "active bounce corrupt defer deferred flush hold incoming private saved trace".split(" "))
    make(`queue/${name}`, 0o700, uid);
  make("queue/maildrop", 0o730, uid, gid);
  make("queue/public", 0o710, uid, gid);
  const places = `daemon_directory = ${daemons}\nshlib_directory = ${shlib}\nmeta_directory = ${meta}\n`;
  writeFileSync(join(folder, "etc/main.cf"), places + main);
  writeFileSync(join(folder, "etc/master.cf"), `127.0.0.1:${port} inet n - n - - smtpd\n${services}`);
}
