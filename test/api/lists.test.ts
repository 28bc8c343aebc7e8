import { describe, expect, test } from "vitest";
import { newMaster, newSubaccount, OPERATOR_KEY, openDoor } from "./client.ts";

const door = await openDoor();
const { call } = door;
const master = await newMaster(door);
const { key } = master;
const names = ["delta", "Alpha", "charlie", "Bravo", "echo", "foxtrot", "golf"];
const ids = new Map<string, string>();
for (const [i, name] of names.entries()) {
  ids.set(
    name,
    (await newSubaccount(door, master, { name, monthly_limit: 10 * (i + 1), plan: i % 2 ? "gold" : "tin" })).id,
  );
}

type Item = { id: string; name: string };

/** All pages of a list. */
async function walk(path: string, limit: number): Promise<Item[]> {
  const all: Item[] = [];
  for (let cursor: string | null = null; ; ) {
    const page = await call(
      "GET",
      `${path}${path.includes("?") ? "&" : "?"}limit=${limit}${cursor ? `&cursor=${cursor}` : ""}`,
      { key },
    );
    expect(page.status, page.text).toBe(200);
    all.push(...page.body.data);
    expect(page.body.has_more).toBe(page.body.next_cursor !== null);
    if (!page.body.has_more) return all;
    expect(page.body.data.length).toBe(limit);
    cursor = page.body.next_cursor;
  }
}

describe("pages", () => {
  test.each([1, 2, 3, 6, 7, 100])("of %i show each row once, in order, by name unless told", async (limit) => {
    const found = await walk("/v1/subaccounts", limit);
    expect(found.map(({ name }) => name)).toEqual(
      names.toSorted((a, b) => a.localeCompare(b, "en", { sensitivity: "base" })),
    );
  });

  test.each([
    "name",
    "-name",
    "created",
    "-created",
    "-monthly_limit",
    "plan,-name",
    "-plan,name",
    "-used_percent,name",
  ])("sorted by %s are the whole list, cut", async (sort) => {
    const whole = await walk(`/v1/subaccounts?sort=${sort}`, 100);
    expect(await walk(`/v1/subaccounts?sort=${sort}`, 2)).toEqual(whole);
    expect(new Set(whole.map(({ id }) => id)).size).toBe(names.length);
  });

  test("of every other list agree with the whole", async () => {
    for (const path of [
      "/v1/keys",
      "/v1/audit",
      "/v1/events",
      "/v1/usage/subaccounts",
      "/v1/messages",
      "/v1/captured",
    ]) {
      const whole = await walk(path, 100);
      expect(await walk(path, 3), path).toEqual(whole);
    }
  });

  test("a cursor of one order is refused in another, and never shows what is not the caller's", async () => {
    const { body: first } = await call("GET", "/v1/subaccounts?limit=2&sort=name", { key });
    const wrong = await call("GET", `/v1/subaccounts?limit=2&sort=-name&cursor=${first.next_cursor}`, { key });
    expect([wrong.status, wrong.body.errors[0].pointer]).toEqual([422, "/cursor"]);
    const stranger = await newMaster(door);
    const theirs = await call("GET", `/v1/subaccounts?limit=2&sort=name&cursor=${first.next_cursor}`, {
      key: stranger.key,
    });
    expect(theirs.body.data).toEqual([]);
    const longer = await call("GET", `/v1/subaccounts?limit=5&sort=name&cursor=${first.next_cursor}`, { key });
    expect(longer.body.data.length).toBe(5);
  });
});

describe("filters", () => {
  const found = async (query: string) =>
    (await walk(`/v1/subaccounts?${query}`, 100)).map(({ name }) => name).toSorted();

  test("search, plan, state and use narrow the list", async () => {
    expect(await found("q=LPH")).toEqual(["Alpha"]);
    expect(await found("q=%25")).toEqual([]);
    expect(await found("plan=gold")).toEqual(["Alpha", "Bravo", "foxtrot"]);
    expect(await found("used_percent_gte=0")).toEqual(names.toSorted());
    expect(await found("used_percent_gte=1")).toEqual([]);
    await call("POST", `/v1/subaccounts/${ids.get("golf")}/disable`, { key });
    expect(await found("state=disabled,closed")).toEqual(["golf"]);
    expect((await found("with_own=true")).length).toBe(names.length + 1);
  });

  test("the operator sees every master's, or one master's", async () => {
    const stranger = await newMaster(door);
    await newSubaccount(door, stranger, { name: "theirs" });
    const all = await call("GET", "/v1/subaccounts?limit=100", { key: OPERATOR_KEY });
    expect(all.body.data.map(({ name }: Item) => name)).toEqual(expect.arrayContaining(["theirs", "Alpha"]));
    const one = await call("GET", `/v1/subaccounts?master_id=${stranger.masterId}`, { key: OPERATOR_KEY });
    expect(one.body.data.map(({ name }: Item) => name)).toEqual(["theirs"]);
    const masters = await call("GET", "/v1/masters?sort=-created&limit=1&q=acme", { key: OPERATOR_KEY });
    expect(masters.body.data.map(({ id }: Item) => id)).toEqual([stranger.masterId]);
  });
});
