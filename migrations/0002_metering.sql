-- What was used and what is charged. Usage rows decide; the ledger proves.

-- The program's clock, so that POSTMETER_CLOCK_OFFSET (development and tests) shifts the database with it.
create function pm_now() returns timestamptz language sql volatile as
  $$ select clock_timestamp() + coalesce(nullif(current_setting('postmeter.clock_offset', true), ''), '0')::interval $$;

-- One row per account (master or subaccount) and period. It carries all that the decision at acceptance needs.
-- Every writer locks the rows it writes first, in the order (account_id, period_start), in a statement of its own.
create table usage (
  account_id uuid not null,
  period_start timestamptz not null,
  period_end timestamptz not null,
  master_id uuid not null,
  used bigint not null default 0 check (used >= 0),
  cap bigint,                          -- what must never be exceeded: limit + top-ups, or the master's cap; null: no limit of its own
  base bigint,                         -- what alerts are measured against: limit + top-ups, or the master's allowance
  top_up bigint not null default 0,
  open boolean not null,               -- may send now
  open_until timestamptz,              -- the end date of the account, if it has one
  thresholds smallint[] not null,      -- percent, ascending
  alert_level smallint not null default 0,
  version bigint not null default 1,
  primary key (account_id, period_start)
) with (fillfactor = 30, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000);
create index usage_by_master on usage (master_id, period_start, account_id);

-- id: the message's for accept and void, a new one for a correction, which names what it corrects.
create table usage_entry (
  id uuid not null primary key,
  master_id uuid not null,
  subaccount_id uuid not null,
  period_start timestamptz not null,
  units int not null,
  kind text not null check (kind in ('accept', 'void', 'correction')),
  corrects uuid,
  note text,
  accepted_at timestamptz not null
) partition by range (id);
create index usage_entry_by_account on usage_entry (master_id, period_start, subaccount_id, id);

create table top_up (
  id uuid primary key,
  subaccount_id uuid not null,
  master_id uuid not null,
  period_start timestamptz not null,
  units bigint not null check (units > 0),
  note text,
  created_at timestamptz not null
);
create index top_up_by_account on top_up (subaccount_id, period_start);

-- Refusals are counted by minute and reason, with one sample; they are no part of the bill.
create table refusal (
  subaccount_id uuid not null,
  minute timestamptz not null,
  reason text not null,
  master_id uuid not null,
  period_start timestamptz not null,
  messages bigint not null,
  units bigint not null,
  sample jsonb,
  id uuid not null,
  primary key (subaccount_id, minute, reason)
);
create index refusal_by_master on refusal (master_id, id);

create table statement (
  id uuid primary key,
  master_id uuid not null,
  period_start timestamptz not null,
  period_end timestamptz not null,
  allowance bigint,
  cap bigint,
  overage text not null,
  units bigint not null,
  messages bigint not null,
  corrections bigint not null,
  lines_hash bytea not null,           -- SHA-256 over the figures and the lines in order (metering/statement.ts)
  chain_hash bytea not null,           -- SHA-256 over the previous statement's chain_hash and lines_hash
  closed_at timestamptz not null,
  unique (master_id, period_start)
);
create table statement_line (
  statement_id uuid not null references statement (id),
  subaccount_id uuid not null,
  name text not null,
  external_id text,
  monthly_limit bigint,
  top_up bigint not null,
  messages bigint not null,
  units bigint not null,
  corrections bigint not null,
  primary key (statement_id, subaccount_id)
);

-- When the first period of a master without a statement ends, as the program has reckoned it; no row: not reckoned yet.
create table statement_due (
  master_id uuid primary key,
  due_at timestamptz not null
);

-- A threshold that was crossed, once per threshold, period and limit (the version of the row that set the level).
create table alert (
  account_id uuid not null,
  period_start timestamptz not null,
  level smallint not null,
  version bigint not null,
  master_id uuid not null,
  used bigint not null,
  base bigint,
  reason text not null check (reason in ('threshold', 'refused')),
  created_at timestamptz not null,
  notified_at timestamptz,
  primary key (account_id, period_start, level, version)
);
