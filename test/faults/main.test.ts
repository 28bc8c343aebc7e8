/** `npm run faults` itself: what it would say if a promise did not hold. */
import { spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, expect, test } from "vitest";

const root = join(import.meta.dirname, "..", "..");
mkdirSync(join(root, "data"), { recursive: true });
const folder = mkdtempSync(join(root, "data", "faults-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const figures = JSON.stringify(join(import.meta.dirname, "figures.ts"));
const suite = (about: string, body: string) => `/** ${about}\n *\n * More. */
import { expect, test } from "vitest";
import { show } from ${figures};
test("a fault", async ({ task, skip }) => { ${body} });\n`;

writeFileSync(join(folder, "good.faults.ts"), suite("Holds.", `show(task, "P1", { kills: 3 });`));
writeFileSync(join(folder, "bad.faults.ts"), suite("Breaks.", `show(task, "P2", { lost: 1 }); expect(1).toBe(0);`));
writeFileSync(join(folder, "bad-file.faults.ts"), "/** Can't be loaded. */\nthrow new Error('broken');\n");
writeFileSync(join(folder, "no-root.faults.ts"), suite("Is left out.", `skip("no root");`));

function faults(...args: string[]) {
  const env = { PATH: process.env.PATH };
  return spawnSync(process.execPath, ["test/faults/main.ts", "--from", folder, ...args], {
    cwd: root,
    env,
    encoding: "utf8",
  });
}

test("suites are found by the names of their files, and the help says what each is", () => {
  const { status, stdout } = faults("--help");
  expect(status).toBe(0);
  expect(stdout).toMatch(/^ {2}bad {3}Can't be loaded\. Breaks\.$/m);
  expect(stdout).toMatch(/^ {2}good {2}Holds\.$/m);
});

test("a suite that nobody knows, and a number that is none, are told and nothing is run", () => {
  expect(faults("--only", "good,worse")).toMatchObject({ status: 2, stdout: "" });
  expect(faults("--minutes", "soon").stderr).toContain("--minutes: a number above 0, not soon");
});

test("a promise that holds is shown with its figures, a fault that can't be had with its reason: exit code 0", () => {
  const { status, stdout } = faults("--only", "good,no");
  expect(stdout).toContain("| good | P1 | a fault | kills 3 | held |");
  expect(stdout).toContain("| no |  | a fault |  | left out: no root |");
  expect(status).toBe(0);
}, 60_000);

test("a promise that does not hold, and a suite that can't be loaded, end with exit code 1", () => {
  const { status, stdout } = faults("--only", "bad");
  expect(stdout).toContain("| bad | P2 | a fault | lost 1 | VIOLATED |");
  expect(stdout).toContain("| bad |  | the suite itself |  | FAILED |");
  expect(status).toBe(1);
}, 60_000);
