-- What was accepted and what is still to be delivered. A message's facts never change; a queue row lives while
-- work is left; a recipient row holds the outcome.

create table message (
  id uuid not null primary key,
  subaccount_id uuid not null,         -- ...0001: the platform itself
  master_id uuid not null,
  kind text not null check (kind in ('submitted', 'dsn', 'system')),
  credential_id uuid,
  sender text not null,                -- the envelope's reverse-path, domain as A-label; '' for <>
  units int not null,
  size_bytes int not null,
  body_parts int not null default 1,
  header_from text,
  header_message_id text,
  subject text,
  envelope_id text,                    -- RFC 3461 ENVID
  ret text,                            -- RFC 3461 RET: full, hdrs
  eight_bit boolean not null default false,
  smtp_utf8 boolean not null default false,
  accepted_at timestamptz not null
) partition by range (id);
create index message_by_subaccount on message (subaccount_id, id) where kind = 'submitted';
create index message_by_master on message (master_id, id) where kind = 'submitted';

-- part 0 is the head with as much of the content as fits in one row; larger messages are written ahead, part by part.
create table body (
  message_id uuid not null,
  part int not null,
  bytes bytea not null,
  primary key (message_id, part)
) partition by range (message_id);

create table recipient (
  message_id uuid not null,
  n int not null,
  address text not null,
  original_recipient text,             -- RFC 3461 ORCPT
  notify text,                         -- RFC 3461 NOTIFY
  state text not null default 'queued' check (state in ('queued', 'deferred', 'delivered', 'bounced', 'cancelled')),
  attempts jsonb not null default '[]',
  settled_at timestamptz,
  primary key (message_id, n)
) partition by range (message_id);

create table queue (
  message_id uuid primary key,
  subaccount_id uuid not null,
  due_at timestamptz not null,
  owner int,
  attempt int not null default 0,
  expires_at timestamptz not null,
  route text                           -- set after an indeterminate result: the next attempt takes the same route
) with (fillfactor = 70, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 2000);
create index queue_due on queue (subaccount_id, due_at, message_id);

create table hold (
  subaccount_id uuid primary key,
  held_at timestamptz not null
);

-- Does a tenant's queue wait? By an operator's hold, or while it or its master is suspended.
create function is_held(tenant uuid) returns boolean language sql stable as $$
  select exists (select from hold h where h.subaccount_id = tenant)
      or exists (select from subaccount s join master m on m.id = s.master_id
                  where s.id = tenant and (s.suspended_at is not null or m.suspended_at is not null))
$$;

create table in_doubt (
  subaccount_id uuid not null,
  size_bytes int not null,
  sender text not null,
  content_hash bytea not null,
  message_id uuid not null,
  until timestamptz not null,
  primary key (subaccount_id, size_bytes, message_id)
);

-- What happened to a message after its acceptance, and to accounts. message.accepted is read from message itself.
create table event (
  id uuid not null primary key,
  type text not null,
  master_id uuid not null,
  subaccount_id uuid,
  message_id uuid,
  at timestamptz not null,
  data jsonb not null
) partition by range (id);
create index event_by_master on event (master_id, id);
create index event_by_subaccount on event (subaccount_id, id);

create table sender_domain (
  id uuid primary key,
  master_id uuid not null references master (id),
  subaccount_id uuid references subaccount (id),   -- null: the master's own, usable by those it is granted to
  name text not null,                  -- A-label, lower case
  state text not null default 'pending' check (state in ('pending', 'verified', 'failed')),
  token text not null,
  found text[] not null default '{}',  -- what the last look-up saw
  checked_at timestamptz,
  verified_at timestamptz,
  granted_to_all boolean not null default false,
  created_at timestamptz not null,
  version bigint not null default 1
);
create unique index sender_domain_owner on sender_domain (name) where state = 'verified';
create unique index sender_domain_claim on sender_domain (master_id, coalesce(subaccount_id, master_id), name);
create index sender_domain_by_account on sender_domain (master_id, subaccount_id, id);

create table domain_grant (
  domain_id uuid not null references sender_domain (id) on delete cascade,
  subaccount_id uuid not null references subaccount (id),
  primary key (domain_id, subaccount_id)
);

-- Capture: the built-in mailbox that takes the place of an upstream.
create table captured (
  id uuid primary key,
  message_id uuid not null,
  master_id uuid not null,
  subaccount_id uuid not null,
  sender text not null,
  recipients text[] not null,
  size_bytes int not null,
  subject text,
  header_from text,
  bytes bytea not null,
  captured_at timestamptz not null
);
create index captured_by_master on captured (master_id, id);
create index captured_by_subaccount on captured (subaccount_id, id);
