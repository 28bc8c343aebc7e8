-- What a statement asks: of the master by the operator, and of each subaccount by the master, with the terms that it was reckoned from.
-- All of it is in the hash; a statement without any price has none of it, and the hash that it had. What a subaccount costs the master is its
-- share of what the operator asks, and is not stored.
create table statement_amount (
  statement_id uuid not null references statement (id),
  subaccount_id uuid,                  -- null: what the operator asks of the master
  currency text not null,
  fee_minor bigint not null,           -- below zero: more was given back than asked
  overage_minor bigint not null check (overage_minor >= 0),
  discount_minor bigint not null,      -- taken off
  total_minor bigint not null check (total_minor = fee_minor + overage_minor - discount_minor),
  terms jsonb not null,                -- what ruled in the period, or ended with its start
  unique nulls not distinct (statement_id, subaccount_id, currency)
);
