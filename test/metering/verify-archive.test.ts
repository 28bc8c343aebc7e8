/** `ledger verify` on archived months: each lie about them is found and named, whoever tells it: the file, its manifest, or the tables. */
import { createHash } from "node:crypto";
import { copyFileSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { gunzipSync, gzipSync } from "node:zlib";
import { beforeAll, expect, test } from "vitest";
import type { Period } from "../../src/metering/period.ts";
import { verifyLedger } from "../../src/metering/verify.ts";
import { formatId } from "../../src/platform/ids.ts";
import { type FilledLedger, fillArchive, type OpenLedger, openLedger } from "../support/archive.ts";
import { unguarded as withoutGuards } from "../support/tampering.ts";

let filled: FilledLedger;
beforeAll(async () => {
  filled = await fillArchive();
});

const verify = ({ db, clock, dir }: OpenLedger) => verifyLedger(db, clock, { archiveDir: dir });
const path = ({ dir, months }: OpenLedger, i: number, kind = "csv.gz") => join(dir, `usage_entry-${months[i]}.${kind}`);
const hex = (bytes: Buffer | string) => createHash("sha256").update(bytes).digest("hex");

function change(file: string, by: (text: string) => string): void {
  writeFileSync(file, by(readFileSync(file, "utf8")));
}

/** The file without its first entry, and a manifest that says so. */
function removeRow(ledger: OpenLedger): { file: string; plain: string; manifest: string } {
  const plain = gunzipSync(readFileSync(path(ledger, 1)))
    .toString()
    .replace(/\r\n[^\r]*\r\n/, "\r\n");
  const file = gzipSync(plain);
  writeFileSync(path(ledger, 1), file);
  change(path(ledger, 1, "json"), (text) => {
    const manifest = JSON.parse(text);
    const accept = { entries: 1, units: 4 };
    const told = {
      entries: 3,
      kinds: { ...manifest.kinds, accept },
      file_sha256: hex(file),
      plain_sha256: hex(plain),
      file_bytes: file.length,
    };
    return `${JSON.stringify({ ...manifest, ...told, plain_bytes: Buffer.byteLength(plain) }, null, 2)}\n`;
  });
  return { file: hex(file), plain: hex(plain), manifest: hex(readFileSync(path(ledger, 1, "json"))) };
}

const sql =
  (...statements: string[]) =>
  async ({ pool }: OpenLedger) => {
    await withoutGuards({ pool });
    for (const statement of statements) await pool.query(statement);
  };
const unguarded = (table: string, statement: string) =>
  sql(`alter table ${table} disable trigger user`, statement, `alter table ${table} enable trigger user`);
const correct = (units: number, charge: (ledger: OpenLedger) => string) => async (ledger: OpenLedger) => {
  await ledger.pool.query(
    `insert into usage_entry select (substr(id::text, 1, 24) || '000000000001')::uuid, master_id, subaccount_id, period_start, $1, 'correction', $2, 'ours', accepted_at
       from usage_entry where kind = 'accept'`,
    [units, charge(ledger)],
  );
};
const unguardedDay = (ledger: OpenLedger) => `${ledger.months[1]}-10`;

type Told = readonly [check: string, subject: (ledger: OpenLedger) => string, detail: RegExp];
const month = (i: number) => (ledger: OpenLedger) => ledger.months[i]!;
const sub = ({ subaccountId }: OpenLedger) => formatId("sub", subaccountId);
const mas = ({ masterId }: OpenLedger) => formatId("mas", masterId);
const any = () => expect.anything() as unknown as string;
const otherFile =
  /^unverified: its file usage_entry-\d{4}-\d\d.csv.gz is not the one that was written: SHA-256 [\da-f]{64} of \d+ bytes, it was [\da-f]{64} of \d+$/;
const otherManifest =
  /^unverified: its manifest usage_entry-\d{4}-\d\d.json is not the one that was written: SHA-256 [\da-f]{64}$/;

const lies: [lie: string, tell: (ledger: OpenLedger) => void | Promise<void>, told: Told[]][] = [
  [
    "one byte of a file changed",
    (ledger) => {
      const bytes = readFileSync(path(ledger, 1));
      bytes[bytes.length >> 1]! ^= 1;
      writeFileSync(path(ledger, 1), bytes);
    },
    [["archive", month(1), otherFile]],
  ],
  [
    "a file that was cut off",
    (ledger) => writeFileSync(path(ledger, 1), readFileSync(path(ledger, 1)).subarray(0, 100)),
    [["archive", month(1), otherFile]],
  ],
  [
    "an entry removed, with checksums in the manifest that fit",
    (ledger) => void removeRow(ledger),
    [
      ["archive", month(1), otherManifest],
      ["archive", month(1), otherFile],
    ],
  ],
  [
    "the files of two months swapped",
    (ledger) => {
      renameSync(path(ledger, 1), path(ledger, 3));
      renameSync(path(ledger, 2), path(ledger, 1));
      renameSync(path(ledger, 3), path(ledger, 2));
    },
    [
      ["archive", month(1), otherFile],
      ["archive", month(2), otherFile],
    ],
  ],
  [
    "another month's file and manifest under its name",
    (ledger) => {
      for (const kind of ["csv.gz", "json"]) copyFileSync(path(ledger, 2, kind), path(ledger, 1, kind));
    },
    [
      ["archive", month(1), otherManifest],
      ["archive", month(1), otherFile],
    ],
  ],
  [
    "a manifest edited",
    (ledger) => change(path(ledger, 1, "json"), (text) => text.replace('"entries": 4', '"entries": 5')),
    [["archive", month(1), otherManifest]],
  ],
  [
    "a file missing",
    (ledger) => rmSync(path(ledger, 1)),
    [["archive", month(1), /^unverified: its file usage_entry-.*\.csv\.gz is not in \/.*postmeter-archive-/]],
  ],
  [
    "a manifest missing",
    (ledger) => rmSync(path(ledger, 0, "json")),
    [["archive", month(0), /^unverified: its manifest usage_entry-.*\.json is not in \//]],
  ],
  [
    "the folder missing",
    ({ dir }) => rmSync(dir, { recursive: true }),
    [0, 1, 2].flatMap((i): Told[] => [
      ["archive", month(i), /its manifest .* is not in/],
      ["archive", month(i), /its file .* is not in/],
    ]),
  ],
  [
    "an entry removed from file, manifest and record, all of which agree",
    async (ledger) => {
      const { file, plain, manifest } = removeRow(ledger);
      await unguarded(
        "ledger_archive",
        `update ledger_archive set entries = 3, kinds = jsonb_set(kinds, '{accept}', '{"entries": 1, "units": 4}'), manifest_sha256 = '\\x${manifest}',
                file_sha256 = '\\x${file}', file_bytes = ${readFileSync(path(ledger, 1)).length}, plain_sha256 = '\\x${plain}',
                plain_bytes = ${gunzipSync(readFileSync(path(ledger, 1))).length} where month = '${ledger.months[1]}-01'`,
      )(ledger);
    },
    [
      ["archive", month(2), /^unverified: its manifest .* does not name the one of the month before it$/],
      ["days", unguardedDay, /^it was summed with 4 entries, and has 3$/],
      ["days", sub, /says 2 messages, 7 units, -2 corrections; the entries 1 messages, 4 units, -2 corrections$/],
      ["credits", month(1), /^1 messages were paid by credits; 0 of them are in its file$/],
      ["entries", any, /^its correction entry corrects no charge of its account$/],
    ],
  ],
  [
    "a record that says other figures than its manifest",
    (ledger) =>
      unguarded(
        "ledger_archive",
        `update ledger_archive set entries = 5, last_id = first_id where month = '${ledger.months[1]}-01'`,
      )(ledger),
    [
      ["archive", month(1), /^unverified: its record in ledger_archive says entries 5, its manifest 4$/],
      [
        "archive",
        month(1),
        /^unverified: its record in ledger_archive says last_id "[\da-f-]{36}", its manifest "[\da-f-]{36}"$/,
      ],
    ],
  ],
  [
    "a record that was removed",
    (ledger) =>
      unguarded("ledger_archive", `delete from ledger_archive where month = '${ledger.months[0]}-01'`)(ledger),
    [["archive", month(1), /does not name the one of the month before it$/]],
  ],
  [
    "a kept sum changed",
    sql("update usage_day set units = units + 1 where units = 7"),
    [
      ["days", sub, /says 2 messages, 8 units, -2 corrections; the entries 2 messages, 7 units, -2 corrections$/],
      ["counters", sub, /its counter says 7 units, the ledger 8$/],
      ["counters", mas, /its counter says 7 units, the ledger 8$/],
      ["statements", any, /says 2 messages, 7 units, -2 corrections; the ledger 2 messages, 8 units, -2 corrections$/],
    ],
  ],
  [
    "a kept sum removed",
    sql("delete from usage_day where units = 5"),
    [
      ["days", sub, /^day .*: 2 entries are in no sum: 1 messages, 5 units, 1 corrections$/],
      ["counters", sub, /its counter says 11 units, the ledger 6$/],
      ["counters", mas, /its counter says 11 units, the ledger 6$/],
      ["statements", any, /says 2 messages, 11 units, 1 corrections; the ledger 1 messages, 6 units, 0 corrections$/],
    ],
  ],
  [
    "the word that a day is summed removed",
    (ledger) => unguarded("summed_day", `delete from summed_day where entry_day = '${unguardedDay(ledger)}'`)(ledger),
    [
      ["days", unguardedDay, /^4 entries are archived, but the sums of the day are not kept: restore the month/],
      ["counters", sub, /its counter says 7 units, the ledger 0$/],
      ["counters", mas, /its counter says 7 units, the ledger 0$/],
      ["statements", any, /its line of sub_\w+ says 2 messages, 7 units, -2 corrections; the ledger 0 messages/],
    ],
  ],
  [
    "a counter of an archived period changed",
    sql("update usage set used = used + 1 where used = 7 and account_id = master_id"),
    [["counters", mas, /its counter says 8 units, the ledger 7$/]],
  ],
  [
    "a counter of archived sandbox mail changed",
    sql("update usage set used = 10 where used = 9"),
    [["counters", any, /its sandbox counters say 10 units, their entries 9$/]],
  ],
  [
    "all counters of an archived period removed",
    sql("delete from usage where used in (7, 9)"),
    [
      ["entries", any, /^its accept entry belongs to no counter$/],
      ["entries", any, /^its accept entry belongs to no counter$/],
      ["credits", any, /its row says 0 units were paid by credits, the journal 1$/],
      ["credits", any, /its row says 0 units were paid by credits, the journal 1$/],
    ],
  ],
  [
    "more taken back, in the database, than was charged in a file",
    correct(-3, ({ first }) => first),
    [
      ["entries", any, /^its correction entry takes back more than was charged$/],
      ["entries", any, /^its correction entry takes back more than was charged$/],
      ["entries", any, /^its correction entry takes back more than was charged$/],
      ["statements", any, /corrections; the ledger/],
    ],
  ],
  [
    "a correction of something that no file has",
    correct(-1, ({ first }) => `${first.slice(0, 24)}000000000000`),
    [
      ["entries", any, /^its correction entry corrects no charge of its account$/],
      ["statements", any, /corrections; the ledger/],
    ],
  ],
  [
    "more credits than an archived message has units",
    sql(
      "update credit_entry set units = 4",
      "update credit_lot set spent = 4",
      "update usage set credit_used = 4 where credit_used = 1",
    ),
    [
      ["credits", sub, /^message [\da-f-]{36} was paid more credits than it has units$/],
      ["statements", any, /^its line of sub_\w+ says 1 credits; their journal 4$/],
    ],
  ],
  [
    "credits for an archived message that is not in its file",
    sql("update credit_entry set message_id = (substr(message_id::text, 1, 24) || '000000000000')::uuid"),
    [["credits", month(1), /^1 messages were paid by credits; 0 of them are in its file$/]],
  ],
];

test.for(lies)("%s is found, and nothing else", async ([, tell, told]) => {
  const ledger = await openLedger(filled);
  await tell(ledger);
  const { differences, found, ok } = await verify(ledger);
  expect(ok).toBe(false);
  expect(found).toBe(differences.length);
  const expected = told.map(([check, subject, detail]) => ({
    check,
    subject: subject(ledger),
    detail: expect.stringMatching(detail),
  }));
  expect(differences).toHaveLength(expected.length);
  for (const one of expected) expect(differences).toContainEqual(one);
});

test("what the program wrote itself is in order, and all of it is read", async () => {
  expect(await verify(await openLedger(filled))).toMatchObject({
    ok: true,
    differences: [],
    unread: [],
    read: { archive: 7, entries: 2 },
  });
});

test("of a part of the ledger no file is read: the sums that are kept stand for the entries, and the months are named", async () => {
  const ledger = await openLedger(filled);
  const { db, clock, dir, masterId, months } = ledger;
  const { rows } = await ledger.pool.query<Period>(
    "select period_start as start, period_end as end from usage where account_id = $1 order by 1",
    [masterId],
  );
  const [second, third, fourth] = rows;
  rmSync(dir, { recursive: true });
  const of = (period: Period | null = null) =>
    verifyLedger(db, clock, { archiveDir: dir, scope: { masterId, period } });
  const unread = { ok: true, differences: [], leftOut: expect.arrayContaining(["archive"]), read: { archive: 0 } };
  expect(await of()).toMatchObject({ ...unread, unread: months.slice(0, 3) });
  expect(await of(second)).toMatchObject({ ...unread, unread: months.slice(0, 3) });
  expect(await of(third)).toMatchObject({ ...unread, unread: months.slice(1, 3) });
  expect(await of(fourth)).toMatchObject({ ...unread, unread: [months[2]] });
  await ledger.pool.query("update usage set used = used + 1 where account_id = $1 and period_start = $2", [
    masterId,
    second!.start,
  ]);
  const lie = { ok: false, found: 1, differences: [{ check: "counters" }] };
  expect(await of()).toMatchObject(lie);
  expect(await of(second)).toMatchObject(lie);
  expect(await of(third)).toMatchObject({ ok: true });
});

test("without the archive its files are not asked for, and the sums that are kept stand for them", async () => {
  const ledger = await openLedger(filled);
  rmSync(ledger.dir, { recursive: true });
  const without = () => verifyLedger(ledger.db, ledger.clock);
  expect(await without()).toMatchObject({
    ok: true,
    differences: [],
    unread: ledger.months.slice(0, 3),
    read: { archive: 0 },
  });
  await ledger.pool.query("update usage set used = used + 1 where used = 7 and account_id = master_id");
  expect(await without()).toMatchObject({ ok: false, found: 1, differences: [{ check: "counters" }] });
});
