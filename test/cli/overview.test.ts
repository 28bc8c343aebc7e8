/** Imports and reviews by commands. */
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { houseWithAccounts } from "./house.ts";

function folder(): string {
  const made = mkdtempSync(join(tmpdir(), "pm-import-"));
  onTestFinished(() => rmSync(made, { recursive: true, force: true }));
  return made;
}

test("a file is previewed, imported, and its credentials go to a file of their own", async () => {
  const { run, json, mas } = await houseWithAccounts();
  const place = folder();
  const [file, secrets] = [join(place, "customers.csv"), join(place, "secrets.csv")];
  writeFileSync(file, "external_id,name,monthly_limit\r\nc-1,One,5\r\nc-2,Two,none\r\nc-3,,1\r\n");
  const dry = await run("subaccount", "import", "--master", mas, "--dry-run", file);
  expect(dry.code).toBe(1);
  expect(dry.out).toMatch(/create +2/);
  expect(dry.out).toMatch(/4 +name +This is required/);
  expect((await json("subaccount", "list", "--q", "c-1")).data).toEqual([]);
  const done = await run("subaccount", "import", "--master", mas, "--credentials", secrets, "--json", file);
  expect(done.code).toBe(1);
  expect(JSON.parse(done.out)).toMatchObject({
    state: "done",
    total: 3,
    created: 2,
    failed: 1,
    errors: [{ line: 4, column: "name" }],
  });
  expect(readFileSync(secrets, "utf8").trim().split("\r\n")).toHaveLength(3);
  expect(statSync(secrets).mode & 0o777).toBe(0o600);
  expect((await json("subaccount", "list", "--q", "c-2")).data).toMatchObject([{ name: "Two", monthly_limit: null }]);
  writeFileSync(file, "external_id,plan\r\nc-1,gold\r\n");
  expect(await json("subaccount", "import", "--master", mas, file)).toMatchObject({ changed: 1, failed: 0 });
  writeFileSync(file, "nothing\r\n");
  expect(await run("subaccount", "import", "--master", mas, file)).toMatchObject({
    code: 1,
    err: expect.stringContaining("Line 1:"),
  });
});

test("a review is opened, listed and decided by commands", async () => {
  const { json, run, sub, database } = await houseWithAccounts();
  const opened = await json("review", "open", sub, "--question", "Why so many?", "--hold");
  expect(opened).toMatchObject({ id: expect.stringMatching(/^rev_/), subaccount_id: sub, hold: true, state: "open" });
  expect((await run("review", "open", sub, "--question", "Again?")).code).toBe(1);
  expect((await json("review", "list", "--state", "open")).data).toHaveLength(1);
  expect((await run("review", "show", opened.id)).out).toContain("Why so many?");
  expect(await json("review", "suspend", opened.id, "--note", "Bought lists.")).toMatchObject({ decision: "suspend" });
  expect((await json("subaccount", "show", sub)).state).toBe("suspended");
  expect((await run("review", "release", opened.id)).code).toBe(1);
  expect((await database.pool.query("select from hold")).rows).toHaveLength(0);
});
