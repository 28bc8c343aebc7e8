-- A copy of what subaccounts have used, from which lists of a master with very many are sorted. The counters themselves
-- have no index, so that each message's update of them stays cheap, and sorting by them reads every one: 40 to 200 ms for a
-- hundred thousand. The copy is brought up to date by a job, while somebody looks (accounts/usage-order.ts).
-- Unlogged: after a crash it is empty, and so is the note of what it holds.
create unlogged table usage_order (
  account_id uuid primary key,
  master_id uuid not null,
  used bigint not null,
  percent float8 not null,             -- of limit and top-ups; -1 without a limit
  remaining bigint not null
) with (autovacuum_vacuum_scale_factor = 0.05);
create index usage_order_by_used on usage_order (master_id, used, account_id);
create index usage_order_by_percent on usage_order (master_id, percent, account_id);
create index usage_order_by_remaining on usage_order (master_id, remaining, account_id);

-- Of which period the copy is, and from when.
create unlogged table usage_order_state (
  master_id uuid primary key,
  period_start timestamptz not null,
  read_at timestamptz not null
);

-- A new account is in the order at once, so that no list misses it.
create function order_new_subaccounts() returns trigger language plpgsql as $$
begin
  insert into usage_order (account_id, master_id, used, percent, remaining)
  select id, master_id, 0, coalesce(0::float8 / nullif(monthly_limit, 0), -1), coalesce(monthly_limit, 9000000000000000)
    from made on conflict do nothing;
  return null;
end $$;
create trigger ordered after insert on subaccount referencing new table as made
  for each statement execute function order_new_subaccounts();
