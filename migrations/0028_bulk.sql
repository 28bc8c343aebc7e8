-- Saved views of the overview, and what is done to many subaccounts one by one: imports and bulk changes.

-- owner: the TypeID of the key or person that saved it, or `operator`. master_id null: the operator's own, over all masters.
create table saved_view (
  id uuid primary key,
  master_id uuid references master (id),
  owner text not null,
  name text not null,
  filter jsonb not null,               -- query parameters of the list, as text
  sort text,
  columns text[],
  shared boolean not null default false,
  created_at timestamptz not null,
  updated_at timestamptz not null,
  version bigint not null default 1
);
create index saved_view_by_master on saved_view (master_id, id);

-- Items are numbered from 1 and done in that order, each in one transaction with `done`: it says where to go on.
create table bulk_run (
  id uuid primary key,
  kind text not null check (kind in ('import', 'change')),
  master_id uuid not null references master (id),
  asked_by jsonb not null,             -- the principal in whose name each item is done and audited
  state text not null check (state in ('receiving', 'previewed', 'running', 'done', 'stopped')),
  change jsonb,                        -- of a bulk change
  ignored text[] not null default '{}', -- columns of the file that are only shown
  planned jsonb not null default '{}', -- counts, and for a bulk change the sums of limits
  total int not null default 0,
  done int not null default 0,
  created int not null default 0,
  changed int not null default 0,
  unchanged int not null default 0,
  skipped int not null default 0,
  failed int not null default 0,
  detail text,                         -- why it stopped
  secrets_taken_at timestamptz,
  created_at timestamptz not null,
  touched_at timestamptz not null,
  finished_at timestamptz
);
create index bulk_run_by_master on bulk_run (master_id, kind, id);
create index bulk_run_unfinished on bulk_run (touched_at) where state in ('receiving', 'previewed', 'running');

create table bulk_item (
  run_id uuid not null references bulk_run (id) on delete cascade,
  n int not null,
  line int,                            -- of the file
  subaccount_id uuid,                  -- null: one that is to be created
  version bigint,                      -- that the plan has seen
  given jsonb,                         -- what the row says; taken out when it is done
  before jsonb,
  after jsonb,
  planned text not null check (planned in ('create', 'change', 'same', 'error')),
  outcome text check (outcome in ('created', 'changed', 'unchanged', 'skipped', 'failed')),
  errors jsonb,
  secret bytea,                        -- a created one's first credential, encrypted with a key derived from POSTMETER_SECRET
  primary key (run_id, n)
);
create index bulk_item_wrong on bulk_item (run_id, n) where errors is not null;
create index bulk_item_secret on bulk_item (run_id, n) where secret is not null;
