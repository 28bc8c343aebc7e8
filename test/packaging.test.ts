/** What is written for people and machines outside the code must be true of it: documents, image, compose file, CI. */
import { spawnSync } from "node:child_process";
import { existsSync, readFileSync, statSync } from "node:fs";
import { dirname, join } from "node:path";
import { describe, expect, test } from "vitest";
import { createProgram } from "../src/cli/program.ts";
import { loadConfig } from "../src/platform/config.ts";
import { createMetrics } from "../src/platform/metrics.ts";
import { settings } from "../src/platform/settings.ts";

const root = join(import.meta.dirname, "..");
const read = (path: string): string => readFileSync(join(root, path), "utf8");
const manifest = JSON.parse(read("package.json")) as Record<string, Record<string, string>> & { version: string };
const lock = JSON.parse(read("package-lock.json")) as {
  packages: Record<string, { version?: string; optionalDependencies?: Record<string, string> }>;
};
const documents = ["README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "SECURITY.md", "CHANGELOG.md"].concat(
  ["operations", "flow", "faults"].map((name) => `docs/${name}.md`),
);
const variables = new Set<string>(Object.values(settings).map(({ variable }) => variable));
const variablesIn = (text: string): string[] => text.match(/\bPOSTMETER_[A-Z_]*[A-Z]\b/g) ?? [];

describe("documents", () => {
  test.for(documents)("every link of %s leads to a file", (document) => {
    const links = [...read(document).matchAll(/\]\(([^)#\s]+)[^)]*\)/g)].map(([, target]) => target as string);
    const missing = links.filter((link) => !link.includes(":") && !existsSync(join(root, dirname(document), link)));
    expect(missing).toEqual([]);
  });

  test.for([...documents, "docker-compose.yml", "Dockerfile"])("every setting named in %s exists", (document) => {
    const named = variablesIn(read(document));
    expect(named.filter((name) => !variables.has(name))).toEqual([]);
  });

  test.for(["docs/flow.md", "ARCHITECTURE.md", "CONTRIBUTING.md"])("every file that %s names is there", (document) => {
    const named = [...read(document).matchAll(/`([a-z/-]+\/[a-z0-9_-]+\.(?:ts|lua|sql|mjs|json))`/g)].map(
      ([, path]) => path as string,
    );
    expect(named.length).toBeGreaterThan(0);
    expect(named.filter((path) => !existsSync(join(root, path)) && !existsSync(join(root, "src", path)))).toEqual([]);
  });

  test("the operations guide lists every metric, and no other", async () => {
    const { registry } = createMetrics();
    const real = (await registry.getMetricsAsJSON()).map(({ name }) => name);
    const listed = [...read("docs/operations.md").matchAll(/^\| `(postmeter_\w+)`/gm)].map(
      ([, name]) => name as string,
    );
    expect(listed.toSorted()).toEqual(real.toSorted());
    const used = read("docs/operations.md").match(/postmeter_[a-z_]+/g) ?? [];
    const base = (name: string): string => name.replace(/_bucket$/, "");
    expect(used.filter((name) => !real.includes(base(name)))).toEqual([]);
  });

  test.for(["README.md", "docs/operations.md", "docs/flow.md", "ARCHITECTURE.md", "SECURITY.md"])(
    "every command that %s names exists",
    (document) => {
      const program = createProgram();
      const known = program.commands.flatMap((command) => {
        const names = command.commands.map((sub) => `${command.name()} ${sub.name()}`);
        return [command.name(), ...names];
      });
      known.push("serve", "dev"); // of main.ts
      const named = [...read(document).matchAll(/`postmeter ([a-z-]+)((?: [a-z|\\-]+)?)/g)].flatMap(
        ([, name, rest]) => {
          const isGroup = known.some((one) => one.startsWith(`${name} `));
          const subs = isGroup
            ? (rest as string)
                .trim()
                .split(/\\?\|/)
                .filter((sub) => sub !== "")
            : [];
          return subs.length === 0 ? [name as string] : subs.map((sub) => `${name} ${sub}`);
        },
      );
      expect(named.filter((command) => !known.includes(command))).toEqual([]);
    },
  );

  test("the changelog knows the version of the package", () => {
    const released = [...read("CHANGELOG.md").matchAll(/^## \[(.+)\] - \d{4}-\d\d-\d\d$/gm)].map(
      ([, version]) => version,
    );
    expect(released).toContain(manifest.version);
  });
});

describe("dependencies", () => {
  const names = ["dependencies", "devDependencies", "optionalDependencies"].flatMap((kind) =>
    Object.keys(manifest[kind] ?? {}),
  );
  const rows = (heading: string): string[][] => {
    const section = read("CONTRIBUTING.md").split(`${heading}\n`)[1]?.split(/\n##/)[0] ?? "";
    return [...section.matchAll(/^\| (`.*) \|$/gm)].map(([, row]) => (row as string).split(" | "));
  };
  const named = (cell: string | undefined): string[] =>
    [...(cell ?? "").matchAll(/`([^`]+)`/g)].map(([, name]) => name as string);

  test("CONTRIBUTING.md says why each one is here", () => {
    const told = rows("## Dependencies").flatMap(([cell]) => named(cell));
    const covers = (name: string): boolean => told.includes(name) || told.includes(`${name.split("/")[0]}/*`);
    expect(names.filter((name) => !covers(name))).toEqual([]);
    expect(told.filter((name) => !name.endsWith("/*") && !names.includes(name))).toEqual([]);
  });

  test("the lock file holds the package of every platform, without which npm ci refuses it", () => {
    const listed = Object.values(lock.packages).flatMap(({ optionalDependencies = {} }) =>
      Object.keys(optionalDependencies),
    );
    expect([...new Set(listed)].filter((name) => installed(name).length === 0)).toEqual([]);
  });

  test("versions are exact", () => {
    const all = ["dependencies", "devDependencies", "optionalDependencies"].flatMap((kind) =>
      Object.entries(manifest[kind] ?? {}),
    );
    expect(all.filter(([, version]) => !/^\d+\.\d+\.\d+(-[\w.]+)?$/.test(version))).toEqual([]);
  });

  test("none is below its minimum version, wherever it lies in the tree", () => {
    const minimum = rows("### Minimum versions");
    expect(minimum.length).toBeGreaterThan(5);
    const below = minimum.flatMap(([cell, least = ""]) =>
      named(cell).flatMap((name) => installed(name).filter(({ version }) => compareVersions(version, least) < 0)),
    );
    // typeid-js pins it, and uses none of what the advisory is about.
    expect(below.map(({ path }) => path)).toEqual(["node_modules/typeid-js/node_modules/uuid"]);
  });

  function installed(name: string) {
    return Object.entries(lock.packages)
      .filter(([path]) => path.endsWith(`node_modules/${name}`))
      .map(([path, { version = "0.0.0" }]) => ({ path, version }));
  }
});

describe("the image", () => {
  const dockerfile = read("Dockerfile");

  test("copies what the program needs, and the context holds it", () => {
    const kept =
      read(".dockerignore")
        .match(/^!(.+)$/gm)
        ?.map((line) => line.slice(1)) ?? [];
    const copied = [...dockerfile.matchAll(/^COPY (?!--from)(.+) \S+$/gm)].flatMap(([, list]) =>
      (list as string).split(" "),
    );
    expect(copied.filter((path) => !kept.includes(path))).toEqual([]);
    expect(copied).toEqual(expect.arrayContaining(["package-lock.json", "config", "migrations", "src"]));
  });

  test("starts the program as itself, unprivileged, so that SIGTERM arrives", () => {
    const script = manifest.scripts?.postmeter?.replace(/^exec /, ""); // in a shell, so that nothing stands between
    const command = script?.replace("src/main.ts", "/app/src/main.ts").split(" ");
    expect(JSON.parse(/^ENTRYPOINT (.+)$/m.exec(dockerfile)?.[1] ?? "[]")).toEqual(command);
    expect(dockerfile).toMatch(/^CMD \["serve"\]$/m);
    expect(dockerfile).toMatch(/^USER node$/m);
    expect(read("src/main.ts")).toMatch(/^#!\/usr\/bin\/env -S node /);
  });

  test("asks /healthz by a command that parses", () => {
    const script = /CMD \["node", "-e", "(.+)"\]/.exec(dockerfile)?.[1] ?? "";
    expect(script).toContain("/healthz");
    expect(spawnSync(process.execPath, ["--check", "-"], { input: script }).status).toBe(0);
  });
});

describe("the compose file", () => {
  const compose = read("docker-compose.yml");

  test("gives serve all that it asks for", () => {
    const block = compose.split("environment: &environment\n")[1]?.split(/\n(?! {4})/)[0] ?? "";
    const given = [...block.matchAll(/^ {4}(POSTMETER_\w+): (.*)$/gm)].map(([, name, value]) => [
      name as string,
      value as string,
    ]);
    const env = Object.fromEntries(given.map(([name = "", value = ""]) => [name, filled(name, value)]));
    expect(loadConfig(env, "serve")).toMatchObject({ redisUrl: "redis://valkey:6379", hostname: "smtp.example.com" });
  });

  /** What an operator would have put into .env. */
  function filled(name: string, value: string): string {
    const env: Record<string, string> = {
      POSTGRES_PASSWORD: "0123456789abcdef",
      POSTMETER_SECRET: Buffer.alloc(32, 1).toString("base64"),
      POSTMETER_OPERATOR_KEY: "pm_op_0123456789abcdef0123456789abcdef",
      POSTMETER_UPSTREAM_URL: "smtp://mail.example.com:587?tls=required",
      POSTMETER_HOSTNAME: "smtp.example.com",
    };
    const text = value.replace(
      /\$\{(\w+)(?::([-?])((?:[^{}]|\$\{[^}]*\})*))?\}/g,
      (_, key: string, kind: string, rest: string) => {
        if (kind === "?" && env[key] === undefined) throw new Error(`${name}: .env must give ${key}`);
        return env[key] ?? (kind === "-" ? rest : "");
      },
    );
    return text.includes("${") ? filled(name, text) : text;
  }

  test("keeps what must last in volumes, and never evicts a counter", () => {
    expect(compose).toContain("postgres:/var/lib/postgresql");
    expect(compose).toMatch(/"--appendonly", "yes".*"--maxmemory-policy", "noeviction"/);
    expect(compose).not.toMatch(/synchronous_commit=|fsync=|full_page_writes=/);
    expect(compose).toContain("condition: service_completed_successfully");
  });

  test("is a compose file to the client, where there is one", (context) => {
    const client = spawnSync("docker", ["compose", "version"]);
    if (client.status !== 0) return context.skip("docker compose is not installed");
    const env = { PATH: process.env.PATH, HOME: process.env.HOME, POSTGRES_PASSWORD: "x", POSTMETER_SECRET: "x" };
    const more = { POSTMETER_OPERATOR_KEY: "x", POSTMETER_UPSTREAM_URL: "capture:", POSTMETER_HOSTNAME: "x" };
    const run = spawnSync("docker", ["compose", "config", "--quiet"], {
      cwd: root,
      env: { ...env, ...more },
      encoding: "utf8",
    });
    expect(run.stderr).toBe("");
  });
});

test("the CI run is a program that bash can read", () => {
  expect(statSync(join(root, ".ci/run")).mode & 0o111).toBe(0o111);
  expect(spawnSync("bash", ["-n", ".ci/run"], { cwd: root }).status).toBe(0);
});

function compareVersions(a: string, b: string): number {
  const [left, right] = [a, b].map((version) => version.split("-")[0]!.split(".").map(Number));
  for (let n = 0; n < 3; n++) {
    const difference = (left![n] ?? 0) - (right![n] ?? 0);
    if (difference !== 0) return difference;
  }
  return 0;
}
