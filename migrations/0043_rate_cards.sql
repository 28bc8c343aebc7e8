-- Rate cards: what the operator sells to masters (no master), and what a master sells to its subaccounts. Name and currency stay
-- what they are; other terms are another version. One that is withdrawn is given to nobody; who has it keeps it.
create table rate_card (
  id uuid primary key,
  master_id uuid references master (id),   -- null: the operator's
  name text not null,
  currency text not null,
  current int not null default 1,          -- the version that an account gets now
  default_n int,                           -- rules for all subaccounts with no card and no priced plan; null: it is not the default
  withdrawn_at timestamptz,
  created_at timestamptz not null,
  updated_at timestamptz not null,
  version bigint not null default 1,       -- of the row
  check (default_n is null or (master_id is not null and withdrawn_at is null))
);
create unique index rate_card_by_name on rate_card (master_id, name) nulls not distinct where withdrawn_at is null;
create index rate_card_by_master on rate_card (master_id, id);
create unique index rate_card_default on rate_card (master_id) where default_n is not null;

create table rate_card_version (
  rate_card_id uuid not null references rate_card (id),
  n int not null,
  price_minor bigint not null check (price_minor >= 0),   -- per cycle, in the smallest unit of the currency
  cycle text not null check (cycle in ('month', 'year')),
  included_units bigint check (included_units >= 0),      -- in each period; null: all
  overage_per_1000 text not null,                         -- exact: 35, 0.35 or 1/3
  ceiling_minor bigint check (ceiling_minor >= 0),        -- of the overage of a period; null: no bound
  created_at timestamptz not null,
  primary key (rate_card_id, n)
);

create function refuse_change() returns trigger language plpgsql as $$
begin
  raise exception 'rows of % are written once, and neither changed nor removed', tg_table_name;
end $$;
create trigger rate_card_version_stays before update or delete or truncate on rate_card_version
  for each statement execute function refuse_change();
