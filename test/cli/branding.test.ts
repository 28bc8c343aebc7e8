import { mkdtempSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { png, prove } from "../support/brands.ts";
import { certificateFor, fingerprintOf } from "../support/certificates.ts";
import { houseWithAccounts } from "./house.ts";

test("a brand is set, shown with what results of it, given a certificate, and taken back", async () => {
  const { database, run, json, masterId, mas, sub } = await houseWithAccounts();
  const folder = mkdtempSync(join(tmpdir(), "pm-brand-"));
  const file = (name: string, content: string | Buffer) => {
    const path = join(folder, name);
    writeFileSync(path, content);
    return path;
  };
  const logo = file("acme.PNG", png());
  const names = ["--product-name", "Acme Mail", "--host", "mail.acme.example", "--logo", logo];
  expect(await json("branding", "set", mas, ...names)).toMatchObject({
    account_id: mas,
    product_name: "Acme Mail",
    logo: { type: "image/png" },
    in_use: { host: false },
  });
  expect((await run("branding", "show", mas)).out).toMatch(/host +mail\.acme\.example \(not in use: .*\) +- +default/);
  await prove(database, "acme.example", masterId);
  expect((await run("branding", "show", sub)).out).toMatch(/host +- +mail\.acme\.example +master/);
  const made = await certificateFor(["mail.acme.example"]);
  const pair = ["--cert", file("cert.pem", made.certificate), "--key", file("key.pem", made.privateKey)];
  expect(await json("branding", "certificate", mas, ...pair)).toMatchObject({
    certificate: { fingerprint: fingerprintOf(made), names: ["mail.acme.example"] },
  });
  const { out } = await run("branding", "show", mas);
  expect(out).toContain("mail.acme.example until ");
  expect(out).not.toContain("PRIVATE");
  expect((await json("branding", "certificate", mas, "--remove")).certificate).toBeNull();
  expect(await json("branding", "set", mas, "--logo", "none", "--host", "none")).toMatchObject({
    logo: null,
    host: null,
  });
});

test("what is wrong is one line, and wrong usage is told as such", async () => {
  const { run, mas } = await houseWithAccounts();
  expect(await run("branding", "set", mas, "--logo", "/nowhere/a.png")).toMatchObject({
    code: 1,
    err: "postmeter: /nowhere/a.png can't be read: ENOENT.\n",
  });
  expect((await run("branding", "set", mas, "--colour", "red")).err).toBe(
    "postmeter: colour: This is not a colour like #1f4e79.\n",
  );
  expect((await run("branding", "certificate", mas, "--cert", "x")).code).toBe(2);
  expect((await run("branding", "certificate", mas, "--cert", "x", "--key", "y", "--remove")).code).toBe(2);
  expect((await run("branding", "show", "mas_01kb2m5xj7e1fr0x4m4f6a0z3q")).code).toBe(1);
});
