-- What else a statement says from its second format on: a number, and of each line what credits have paid, its part of what lies above the
-- allowance, what was refused, and the billing profile that it stands under. All of it is in the hash. Statements of the first format keep
-- theirs, which knows nothing of it; a number they get here, in the order of their periods.

alter table statement
  add column format smallint not null default 1 check (format in (1, 2)),
  add column number bigint,                               -- 1, 2, 3 ... of the master
  add column credits bigint not null default 0,           -- of its units, paid by credits
  add column refused bigint not null default 0;           -- messages; no part of the bill
alter table statement_line
  add column credits bigint not null default 0,
  add column overage_units bigint not null default 0,     -- sums to what of the statement lies above the allowance
  add column refused bigint not null default 0,
  add column billing_profile text;
create index statement_line_by_subaccount on statement_line (subaccount_id);

-- Billing profiles as they were when the statement was closed. A line whose name has none here stands under a label.
create table statement_profile (
  statement_id uuid not null references statement (id),
  name text not null,
  currency text not null,
  cost_centre text,
  address text,
  primary key (statement_id, name)
);

update statement s set number = n.number
  from (select id, row_number() over (partition by master_id order by period_start) as number from statement) n where n.id = s.id;

-- One after the other without a gap: whoever takes a number holds the lock until its statement is stored, or isn't.
create function next_statement_number(p_master uuid) returns bigint language plpgsql as $$
begin
  perform pg_advisory_xact_lock(hashtextextended('statement ' || p_master, 0));
  return (select coalesce(max(s.number), 0) + 1 from statement s where s.master_id = p_master);
end $$;

-- The version before gives none.
create function number_statement() returns trigger language plpgsql as $$
begin
  new.number := next_statement_number(new.master_id);
  return new;
end $$;
create trigger number_statement before insert on statement for each row when (new.number is null) execute function number_statement();

alter table statement alter column number set not null, add constraint statement_number unique (master_id, number);
