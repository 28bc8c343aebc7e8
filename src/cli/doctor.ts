/** `postmeter doctor`: what is wrong here, and what to do about it. */
import { type Command, Option } from "commander";
import { loadConfig } from "../platform/config.ts";
import { problemsOf } from "./config.ts";
import { diagnoseDatabase, type Finding, findCertificate, findNode, findRedis, look } from "./diagnosis.ts";
import { table } from "./layout.ts";
import { openTool } from "./session.ts";
import { type Cli, type Options, run, verb } from "./verb.ts";

type DoctorOptions = Options & { for: "serve" | "dev" };

export function addDoctorCommand(program: Command, cli: Cli): void {
  verb(program, "doctor", "what is wrong here, and what to do about it; exit code 1 when something fails", [
    "doctor",
    "doctor --for dev",
    "doctor --json",
  ])
    .addOption(new Option("--for <what>", "what shall run here").choices(["serve", "dev"]))
    .action((options: DoctorOptions) =>
      run(cli, options, async () => {
        const findings = await diagnose(cli.env, options.for ?? (cli.env.POSTMETER_DATABASE_URL ? "serve" : "dev"));
        const failed = findings.some(({ state }) => state === "fail");
        const rows = findings.map(({ check, state, detail, advice }) => [
          state,
          check,
          advice ? `${detail} -> ${advice}` : detail,
        ]);
        return {
          json: { ok: !failed, findings },
          text: table(["", "check", "found"], rows),
          exitCode: failed ? 1 : 0,
        };
      }),
    );
}

async function diagnose(env: NodeJS.ProcessEnv, profile: "serve" | "dev"): Promise<Finding[]> {
  const findings: Finding[] = [await look("Node", () => findNode())];
  // `dev` makes what is missing, so nothing is missing for it.
  const problems = problemsOf(env, profile === "serve" ? "serve" : "tool");
  if (problems.length === 0) findings.push({ check: "config", state: "ok", detail: `complete for ${profile}` });
  findings.push(...problems.map((detail): Finding => ({ check: "config", state: "fail", detail })));
  if (problemsOf(env, "tool").length > 0) return findings;
  const config = loadConfig(env, "tool");
  findings.push(...(await inDatabase(env)));
  findings.push(await look("Redis", () => findRedis(config)));
  findings.push(await look("certificate", () => findCertificate(config, new Date())));
  return findings;
}

async function inDatabase(env: NodeJS.ProcessEnv): Promise<Finding[]> {
  let findings: Finding[] = [];
  const opened = await look("database", async () => {
    await using tool = await openTool(env);
    findings = await diagnoseDatabase(tool);
    return { state: "ok", detail: tool.config.databaseUrl === "" ? `embedded, in ${tool.config.dataDir}` : "given" };
  });
  return [opened, ...findings];
}
