import { expect, test } from "vitest";
import { houseWithAccounts } from "./house.ts";

test("people are invited, given another role, and removed by commands", async () => {
  const { database, run, json, mas, sub } = await houseWithAccounts();
  const letters = async () =>
    (await database.pool.query("select address from recipient order by message_id")).rows.map(({ address }) => address);
  const ann = await json("member", "invite", mas, "--email", "ann@acme.example", "--role", "owner");
  const pat = await json("member", "invite", sub, "--email", "pat@shop.example", "--role", "viewer");
  const own = await json("member", "invite", "--email", "me@relay.example");
  expect([ann, pat, own].map(({ role, state }) => [role, state])).toEqual([
    ["owner", "invited"],
    ["viewer", "invited"],
    ["owner", "invited"],
  ]);
  expect(await letters()).toEqual(["ann@acme.example", "pat@shop.example", "me@relay.example"]);
  const emails = async (...of: string[]) =>
    (await json("member", "list", ...of)).data.map(({ email }: { email: string }) => email);
  expect([await emails(mas), await emails(sub), await emails()]).toEqual([
    ["ann@acme.example"],
    ["pat@shop.example"],
    ["me@relay.example"],
  ]);
  await json("member", "resend", pat.id);
  expect(await letters()).toHaveLength(4);
  expect((await json("member", "change", pat.id, "--role", "admin")).role).toBe("admin");
  await json("member", "remove", pat.id);
  expect(await emails(sub)).toEqual([]);
  const again = await run("member", "remove", pat.id);
  expect([again.code, again.err]).toEqual([1, expect.stringContaining("no such member")]);
  expect((await run("member", "invite", mas, "--email", "x@y.example", "--role", "king")).code).toBe(2);
  expect((await run("member", "invite", mas, "--email", "ann@acme.example")).err).toContain("member with this address");
  expect((await run("member", "unlock", sub)).out).toContain("0 log-in(s) unlocked");
});

test("a subaccount is created with an invitation, or with a link to hand over", async () => {
  const { json, mas } = await houseWithAccounts();
  const create = (name: string, ...more: string[]) =>
    json("subaccount", "create", "--master", mas, "--name", name, "--limit", "5", ...more);
  const invited = await create("Invited", "--owner-email", "a@shop.example", "--invite");
  expect(invited).toMatchObject({ state: "pending" });
  expect(invited.credential).toBeUndefined();
  const handed = await create("Handed over", "--owner-email", "b@shop.example");
  expect(handed.log_in_url).toMatch(/^https?:\/\/[^/]+\/invite\/[a-z2-7]{32}$/);
  expect(handed.credential.password).toMatch(/^[a-z2-7]{32}$/);
});
