-- Who may send, and who pays. Rarely written; every change is audited in its own transaction.

create table master (
  id uuid primary key,
  name text not null,
  state text not null default 'active' check (state in ('active', 'closed')),
  suspended_at timestamptz,
  expires_at timestamptz,
  allowance bigint check (allowance >= 0),
  overage text not null default 'block' check (overage in ('block', 'bill')),
  ceiling_factor numeric(6, 2) not null default 3 check (ceiling_factor >= 1),
  anchor_day smallint not null default 1 check (anchor_day between 1 and 31),
  time_zone text not null default 'UTC',
  -- A change of anchor day or time zone takes effect when the period that holds the change ends.
  next_anchor_day smallint check (next_anchor_day between 1 and 31),
  next_time_zone text,
  calendar_changes_at timestamptz,
  sender_policy text not null default 'verified' check (sender_policy in ('verified', 'any')),
  strict_allocation boolean not null default false,
  notification_emails jsonb not null,
  alert_thresholds smallint[] not null default '{80,90,95,100}',
  own_subaccount_id uuid not null,
  created_at timestamptz not null,
  updated_at timestamptz not null,
  version bigint not null default 1
);

create table subaccount (
  id uuid primary key,
  master_id uuid not null references master (id),
  name text not null,
  slug text not null,
  state text not null default 'active' check (state in ('pending', 'active', 'disabled', 'closed', 'archived')),
  state_before text check (state_before in ('pending', 'active', 'disabled', 'closed')),
  suspended_at timestamptz,
  expires_at timestamptz,
  public_message text,
  monthly_limit bigint check (monthly_limit >= 0),
  owner_name text,
  owner_email text,
  notification_emails jsonb,
  alert_thresholds smallint[],
  external_id text,
  region text,
  language text,
  time_zone text,
  plan text,
  metadata jsonb not null default '{}',
  notes text,
  closed_at timestamptz,
  created_at timestamptz not null,
  updated_at timestamptz not null,
  version bigint not null default 1,
  unique (master_id, external_id),
  unique (slug)
);
create index subaccount_by_master on subaccount (master_id, id);
create index subaccount_by_name on subaccount (master_id, lower(name), id);
alter table master add foreign key (own_subaccount_id) references subaccount (id) deferrable initially deferred;

create table credential (
  id uuid primary key,
  subaccount_id uuid not null references subaccount (id),
  master_id uuid not null references master (id),
  username text not null unique,
  name text,
  secret_hash bytea not null,          -- HMAC-SHA256 of a generated secret of 160 bits, keyed by POSTMETER_SECRET
  previous_hash bytea,                 -- still valid until previous_until, after a rotation with overlap
  previous_until timestamptz,
  created_at timestamptz not null,
  rotated_at timestamptz,
  revoked_at timestamptz,
  last_used_at timestamptz
);
create index credential_by_subaccount on credential (subaccount_id, id);

create table api_key (
  id uuid primary key,
  master_id uuid not null references master (id),
  subaccount_id uuid references subaccount (id),   -- null: the key acts for the master
  name text not null,
  key_hash bytea not null unique,
  hint text not null,                  -- the last four characters, to tell keys apart
  scopes text[] not null,
  created_at timestamptz not null,
  revoked_at timestamptz,
  last_used_at timestamptz
);
create index api_key_by_master on api_key (master_id, id);

create table audit_entry (
  id uuid primary key,
  at timestamptz not null,
  master_id uuid,
  subaccount_id uuid,
  actor_kind text not null check (actor_kind in ('operator', 'master', 'subaccount', 'system', 'cli')),
  actor_id text,                       -- the TypeID of the key or person; null for system and cli
  acting_for text,                     -- TypeID of the account named by Postmeter-Account
  action text not null,                -- e.g. subaccount.created, quota.set
  target text not null,                -- TypeID of what was changed
  before jsonb,
  after jsonb
);
create index audit_by_master on audit_entry (master_id, id);
create index audit_by_subaccount on audit_entry (subaccount_id, id);

create table idempotency (
  principal text not null,
  key text not null,
  request_hash bytea not null,
  state text not null check (state in ('running', 'done')),
  status smallint,
  answer bytea,                        -- encrypted with a key derived from POSTMETER_SECRET
  created_at timestamptz not null,
  primary key (principal, key)
);
create index idempotency_by_age on idempotency (created_at);

create table node (
  id int generated always as identity primary key,   -- the owner number of leases
  hostname text not null,
  pid int not null,
  started_at timestamptz not null,
  seen_at timestamptz not null
);
