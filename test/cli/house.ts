/** Commands against a database of the test's own. */
import { runCli } from "../../src/cli/program.ts";
import { formatId } from "../../src/platform/ids.ts";
import { seedMaster, seedSubaccount } from "../support/accounts.ts";
import { testDatabase } from "../support/database.ts";

export type Ran = Readonly<{ code: number; out: string; err: string }>;

export const secret = Buffer.alloc(32, 7).toString("base64");

/** Runs one command with this environment alone. */
export async function runWith(env: NodeJS.ProcessEnv, ...argv: string[]): Promise<Ran> {
  let out = "";
  let err = "";
  const code = await runCli(argv, {
    env,
    write: (text) => {
      out += text;
    },
    complain: (text) => {
      err += text;
    },
  });
  return { code, out, err };
}

export async function house(extra: NodeJS.ProcessEnv = {}) {
  const database = await testDatabase();
  const env = { POSTMETER_DATABASE_URL: database.url, POSTMETER_SECRET: secret, ...extra };
  const run = (...argv: string[]) => runWith(env, ...argv);
  /** A command that must succeed, its answer read. */
  const json = async (...argv: string[]) => {
    const { code, out, err } = await run(...argv, "--json");
    if (code !== 0 || err !== "") throw new Error(`postmeter ${argv.join(" ")}: exit code ${code}: ${err}`);
    return JSON.parse(out);
  };
  return { database, env, run, json };
}

export async function houseWithAccounts() {
  const opened = await house();
  const { masterId } = await seedMaster(opened.database, { allowance: 1000 });
  const subaccountId = await seedSubaccount(opened.database, masterId);
  return { ...opened, masterId, subaccountId, mas: formatId("mas", masterId), sub: formatId("sub", subaccountId) };
}
