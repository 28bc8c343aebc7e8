import { fromUUID } from "typeid-js";
import { expect, test } from "vitest";
import { formatId, type MessageId, newId, parseId, type SubaccountId } from "../../src/platform/ids.ts";

const edges = ["00000000-0000-0000-0000-000000000000", "ffffffff-ffff-ffff-ffff-ffffffffffff"];
const drawn = Array.from({ length: 1000 }, () => newId<MessageId>({ now: () => new Date(), offsetMs: 0 }));

test("an id is shown as TypeID has it, and is the same when it is read again", () => {
  for (const id of [...edges, ...drawn] as MessageId[]) {
    const shown = formatId("msg", id);
    expect(shown).toBe(fromUUID(id, "msg"));
    expect(parseId("msg", shown)).toBe(id);
  }
});

test("an account's id is shown alike each time, and under another prefix it is no such id", () => {
  const [id] = drawn as unknown as [SubaccountId];
  expect(formatId("sub", id)).toBe(fromUUID(id, "sub"));
  expect(formatId("sub", id)).toBe(fromUUID(id, "sub"));
  expect(parseId("mas", formatId("sub", id))).toBeUndefined();
});
