-- Sums of the ledger, kept for each UTC day of the entries' ids (one partition of usage_entry) that has gone by. They are
-- made from the entries (metering/sum-days.ts), can be made again at any time, and are proven by `postmeter ledger verify`.

-- A day whose sums are kept: a row here, and only then, says that usage_day holds what the entries say.
create table summed_day (
  entry_day date primary key,
  entries bigint not null,             -- of all kinds
  summed_at timestamptz not null
);

-- One part of such a day of one subaccount: the entries whose ids are as old as [since, until). A day is cut where a new
-- date begins in the master's time zone, so that a row lies within one of its dates.
create table usage_day (
  entry_day date not null,
  master_id uuid not null,
  period_start timestamptz not null,
  subaccount_id uuid not null,
  since timestamptz not null,
  until timestamptz not null,
  messages bigint not null,
  units bigint not null,
  corrections bigint not null,         -- signed
  primary key (entry_day, master_id, period_start, subaccount_id, since),
  check (since < until and since >= entry_day::timestamp at time zone 'UTC' and until <= (entry_day + 1)::timestamp at time zone 'UTC')
);

-- Stands on the partition of a summed day: an entry that comes late all the same (a clock that was put back, a node that
-- is days behind) takes the word back in its own transaction. The day is read from its entries then, until it is summed again.
create function entry_came_late() returns trigger language plpgsql as $$
begin
  delete from summed_day where entry_day = tg_argv[0]::date;
  return null;
end $$;
