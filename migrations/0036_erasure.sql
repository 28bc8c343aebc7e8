-- Closed accounts are erased: contents and addresses go, rows that were charged stay.
alter table subaccount add column erased_at timestamptz;   -- since its erasure began; it is never opened again
alter table subaccount add column purged_at timestamptz;   -- erased by the operator, after the retention of closed accounts

-- How far an erasure is. Each page commits with `step`, `after_id` and `done`: they say where to go on.
create table erasure (
  id uuid primary key,
  master_id uuid not null references master (id),
  subaccount_id uuid not null references subaccount (id),
  asked_by jsonb not null,             -- the principal in whose name it is audited
  purge boolean not null default false,
  state text not null default 'running' check (state in ('running', 'done')),
  step int not null default 0,
  after_id uuid,                       -- the last one that the step has done
  total bigint,                        -- null: not counted yet
  done bigint not null default 0,
  created_at timestamptz not null,
  touched_at timestamptz not null,
  finished_at timestamptz
);
create unique index erasure_running on erasure (subaccount_id) where state = 'running';
create index erasure_unfinished on erasure (touched_at) where state = 'running';

-- Reports to an account; its own messages have message_by_subaccount.
create index message_report_by_subaccount on message (subaccount_id, id) where kind = 'dsn';

-- What may stay of the members of an event or audit entry: figures, flags, instants and states, told by their values.
create function figures_of(p_members jsonb) returns jsonb language sql immutable as $$
  select case when jsonb_typeof(p_members) = 'object' then coalesce((
    select jsonb_object_agg(m.key, m.value) from jsonb_each(p_members) m
     where jsonb_typeof(m.value) in ('number', 'boolean', 'null')
        or m.value #>> '{}' ~ '^(\d{4}-\d\d-\d\d(T[0-9:.]+Z)?|pending|active|disabled|suspended|expired|closed|archived)$'), '{}') end
$$;
