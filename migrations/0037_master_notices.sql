-- End dates of masters that come near: as expiry_notice, of a table of its own.
create table master_expiry_notice (
  master_id uuid not null,
  expires_at timestamptz not null,     -- another date has notices of its own
  days smallint not null,              -- before it
  told_at timestamptz not null,
  primary key (master_id, expires_at, days)
);
create index master_by_expiry on master (expires_at) where expires_at is not null;

-- Transfers have tokens of their own: they were never links.
alter table link drop constraint link_purpose_check;
alter table link add constraint link_purpose_check check (purpose in ('invite', 'reset', 'log_in_as', 'raise')) not valid;
