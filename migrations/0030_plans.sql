-- Plans of a master with their versions, and templates from which subaccounts are made.

-- A plan's name stays what it is, since subaccounts are known by it; a change of its terms is another version. A plan that is
-- withdrawn takes no new subaccount; those that have it keep it.
create table plan (
  id uuid primary key,
  master_id uuid not null references master (id),
  name text not null,
  current int not null default 1,      -- the version that a subaccount gets now
  withdrawn_at timestamptz,
  created_at timestamptz not null,
  updated_at timestamptz not null,
  version bigint not null default 1    -- of the row
);
create unique index plan_by_name on plan (master_id, name) where withdrawn_at is null;
create index plan_by_master on plan (master_id, id);

create table plan_version (
  plan_id uuid not null references plan (id),
  n int not null,
  custom_limit boolean not null,       -- each subaccount brings a limit of its own
  monthly_limit bigint check (monthly_limit >= 0),
  features jsonb not null,             -- {name: on or off}
  price_minor bigint check (price_minor >= 0),   -- in the smallest unit of the currency
  currency text,
  cycle text not null check (cycle in ('monthly', 'yearly')),
  created_at timestamptz not null,
  primary key (plan_id, n),
  check ((price_minor is null) = (currency is null))
);

-- Null plan_version: `plan` is a label of the master's own, and no plan stands behind it.
alter table subaccount add column plan_id uuid references plan (id);
alter table subaccount add column plan_version int;
alter table subaccount add column features jsonb not null default '{}';
-- A plan that takes over with the period that starts then. Its features are those of its version.
alter table subaccount add column next_plan_id uuid references plan (id);
alter table subaccount add column next_plan_version int;
alter table subaccount add column next_monthly_limit bigint;
alter table subaccount add column next_plan_at timestamptz;
create index subaccount_next_plan on subaccount (next_plan_at) where next_plan_at is not null;

-- The limit that rules in the period that starts then. So a usage row that is opened or synced has the right one from the first
-- instant of its period, by the same clock and under the same locks that decide about mail; no job has to be in time.
create function monthly_limit_at(s subaccount, p_start timestamptz) returns bigint language sql immutable as
  $$ select case when s.next_plan_at <= p_start then s.next_monthly_limit else s.monthly_limit end $$;

-- usage_terms as it stands (0005 and what came since) asks for that limit instead of the column.
do $$
declare
  terms text := pg_get_functiondef('usage_terms'::regproc);
  asking text := replace(terms, 's.monthly_limit', 'monthly_limit_at(s, p_start)');
begin
  if asking = terms then raise exception 'usage_terms does not read the monthly limit'; end if;
  execute asking;
end $$;

create table template (
  id uuid primary key,
  master_id uuid not null references master (id),
  name text not null,
  settings jsonb not null,             -- members of a subaccount by their names at the doors
  created_at timestamptz not null,
  updated_at timestamptz not null,
  version bigint not null default 1,
  unique (master_id, name)
);
create index template_by_master on template (master_id, id);
