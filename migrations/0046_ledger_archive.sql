-- Months of the ledger whose entries lie in a file instead of in partitions (metering/archive.ts). A row is what was written, so that
-- the file can be held against it whoever has had it in hands since; only the two instants below may change.
create table ledger_archive (
  month date primary key check (extract(day from month) = 1),
  file text not null,                  -- its name in POSTMETER_ARCHIVE_DIR
  entries bigint not null,
  kinds jsonb not null,                -- kind -> {"entries", "units"}
  first_id uuid,                       -- null: a month without entries
  last_id uuid,
  file_bytes bigint not null,
  file_sha256 bytea not null,          -- of the compressed file
  plain_bytes bigint not null,
  plain_sha256 bytea not null,         -- of what it unpacks to
  manifest_sha256 bytea not null,      -- of the manifest, which names the manifest of the month before
  archived_at timestamptz not null,
  removed_at timestamptz,              -- when its partitions were dropped; null: not yet
  restored_at timestamptz,             -- when they were made again from the file; null again when they are archived once more
  archived boolean not null generated always as (removed_at is not null and restored_at is null) stored
);

create function keep_ledger_archive() returns trigger language plpgsql as $$
declare free text[] := '{removed_at,restored_at,archived}';
begin
  if tg_op = 'UPDATE' and to_jsonb(new) - free = to_jsonb(old) - free then return new; end if;
  raise exception 'ledger_archive says what was written: only removed_at and restored_at may change';
end $$;
create trigger keep before update or delete on ledger_archive for each row execute function keep_ledger_archive();
create trigger keep_all before truncate on ledger_archive execute function keep_ledger_archive();

-- Of an archived day nobody can make the sums again: they are what usage and verification read instead of its entries.
create function keep_archived_day() returns trigger language plpgsql as $$
begin
  if exists (select from ledger_archive a where a.archived and a.month = date_trunc('month', old.entry_day::timestamp)::date) then
    raise exception 'the entries of % are archived: restore the month before its sums are made again', old.entry_day;
  end if;
  return old;
end $$;
create trigger keep_archived before delete on summed_day for each row execute function keep_archived_day();
