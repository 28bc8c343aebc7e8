/** An entry comes back from its line as it was, however the text of a file is cut; and memory does not grow with the entries. */
import fc from "fast-check";
import { expect, test } from "vitest";
import { archiveMonth } from "../../src/metering/archive.ts";
import { type EntryText, entryLine, HEADER, parsePages } from "../../src/metering/archive-row.ts";
import { isMonth, monthAfter, monthOfId, spanOfMonth } from "../../src/metering/months.ts";
import { sumDays } from "../../src/metering/sum-days.ts";
import { fillLedger, type OpenLedger, openLedger } from "../support/archive.ts";
import { inChild, type Work } from "../support/archive-child.ts";

const uuid = fc.uuid();
const awkward = fc.constantFrom('"', ",", "\r\n", "\n", "\r", "'", "=1+1", "", " ", "ü", "\u2028");
const note = fc
  .array(fc.oneof(awkward, fc.string({ unit: "grapheme" })), { maxLength: 6 })
  .map((parts) => parts.join(""));
const at = fc.constant("2026-08-01T00:00:00.000001Z");
const entry: fc.Arbitrary<EntryText> = fc.record({
  ...{ id: uuid, master_id: uuid, subaccount_id: uuid, period_start: at, accepted_at: at },
  units: fc.integer({ min: -1000, max: 1000 }),
  kind: fc.constantFrom("accept", "void", "correction", "sandbox"),
  corrects: fc.option(uuid),
  note: fc.option(note),
  actor_kind: fc.option(fc.constantFrom("operator", "member")),
  actor_id: fc.option(note),
});

async function all<T>(items: AsyncIterable<T>): Promise<T[]> {
  const list: T[] = [];
  for await (const item of items) list.push(item);
  return list;
}

async function* pieces(text: string, size: number): AsyncGenerator<string> {
  for (let i = 0; i < text.length; i += size) yield text.slice(i, i + size);
}

test("entries come back from their lines as they were, in pages, wherever the text is cut", async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(entry, { maxLength: 12 }), fc.integer({ min: 1, max: 200 }), async (entries, size) => {
      const text = HEADER + entries.map(entryLine).join("");
      const pages = await all(parsePages(pieces(text, size), 5));
      expect(pages.flat()).toEqual(entries);
      expect(pages.slice(0, -1).every((page) => page.length === 5)).toBe(true);
    }),
  );
});

test.for([
  ["nothing", "", "no first line"],
  ["another table", "id,units\r\n", "does not name the columns"],
  ["a line that was cut off", `${HEADER}0190,`, "no end"],
  ["a line of too few cells", `${HEADER}a,b\r\n`, "has 2 cells"],
  ["a quote that stays open", `${HEADER}a,b,c,d,1,accept,,"x,y\r\n`, "no end"],
] as const)("a text that is no archive is refused: %s", async ([, text, told]) => {
  await expect(all(parsePages(pieces(text, 7)))).rejects.toThrow(told);
});

test("months follow one another over the year's end, and ids know theirs", () => {
  expect([monthAfter("2026-12"), monthAfter("2026-01", -1), monthAfter("2026-08", 5)]).toEqual([
    "2027-01",
    "2025-12",
    "2027-01",
  ]);
  expect(["2026-08", "2026-00", "2026-13", "2026-8", "2026-08-01"].map(isMonth)).toEqual([
    true,
    false,
    false,
    false,
    false,
  ]);
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 4_000_000_000_000 }), (ms) => {
      const hex = ms.toString(16).padStart(12, "0");
      const { fromMs, toMs } = spanOfMonth(monthOfId(`${hex.slice(0, 8)}-${hex.slice(8)}-7000-8000-000000000000`));
      expect(fromMs <= ms && ms < toMs).toBe(true);
    }),
  );
});

test("memory does not grow with the entries: 100,000 go, are verified and come back on a heap that could not hold them", async () => {
  const ledger = await openLedger(await fillLedger());
  const [empty, month] = ledger.months;
  await archiveMonth(ledger.db, empty, ledger.options);
  await addVoids(ledger, 100_000);
  const starved = (work: Work) => inChild(ledger, work, { month, heapMb: 48 });
  expect(await starved("hoard")).not.toEqual([0, null]);
  for (const work of ["verify", "archive", "verify", "restore"] as const)
    expect([work, ...(await starved(work))]).toEqual([work, 0, null]);
  const { rows } = await ledger.pool.query("select count(*)::int as n from usage_entry where kind = 'void'");
  expect(rows).toEqual([{ n: 100_001 }]);
}, 120_000);

/** Nobody has to be charged for them. */
async function addVoids({ pool, db, first }: OpenLedger, entries: number): Promise<void> {
  await pool.query(
    `insert into usage_entry
     select (substr(id::text, 1, 24) || lpad(to_hex(n), 12, '0'))::uuid, master_id, subaccount_id, period_start, 0, 'void', null, null, accepted_at
       from usage_entry, generate_series(1, $1::int) n where id = $2`,
    [entries, first],
  );
  await sumDays(db);
}
