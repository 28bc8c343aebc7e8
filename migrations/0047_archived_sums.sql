-- What was corrected in a period is told from the entries, and of archived days from their kept sums.

-- The instant in a UUIDv7.
create function instant_of(id uuid) returns timestamptz language sql immutable as
  $$ select to_timestamp(('x' || substr(replace(id::text, '-', ''), 1, 12))::bit(48)::bigint / 1000.0) $$;

-- The archived days of [from_day, end_day). Each has its sums kept.
create function archived_days(from_day date, end_day date) returns table (entry_day date) language sql stable as $$
  select s.entry_day from ledger_archive a
    join summed_day s on s.entry_day >= greatest(a.month, from_day)
     and s.entry_day < least((a.month + interval '1 month')::date, end_day)
   where a.archived and a.month < end_day and a.month + interval '1 month' > from_day
$$;

-- The same, of the days that ids of [p_from, p_to) may lie on.
create function archived_days_of_ids(p_from uuid, p_to uuid) returns table (entry_day date) language sql stable as $$
  select entry_day from archived_days((instant_of(p_from) at time zone 'UTC')::date,
                                      (instant_of(p_to) at time zone 'UTC' + interval '1 day')::date)
$$;

create or replace function corrections_of(k_id uuid[], k_master uuid[], k_start timestamptz[], p_from uuid, p_to uuid)
returns table (id uuid, units bigint) language plpgsql stable as $$
#variable_conflict use_column
begin
  if not exists (select from ledger_archive where archived) then
    return query
    select e.subaccount_id, sum(e.units)::bigint
      from unnest(k_id, k_master, k_start) as k (id, master_id, start)
      join usage_entry e on e.master_id = k.master_id and e.period_start = k.start and e.subaccount_id = k.id
       and e.kind = 'correction' and e.id >= p_from and e.id < p_to
     group by 1;
    return;
  end if;
  return query
  select x.id, sum(x.units)::bigint from (
    select e.subaccount_id as id, e.units::bigint as units
      from unnest(k_id, k_master, k_start) as k (id, master_id, start)
      join usage_entry e on e.master_id = k.master_id and e.period_start = k.start and e.subaccount_id = k.id
       and e.kind = 'correction' and e.id >= p_from and e.id < p_to
    union all
    select d.subaccount_id, d.corrections
      from archived_days_of_ids(p_from, p_to) a
     cross join unnest(k_id, k_master, k_start) as k (id, master_id, start)
      join usage_day d on d.entry_day = a.entry_day and d.master_id = k.master_id and d.period_start = k.start and d.subaccount_id = k.id
  ) x group by 1;
end $$;

create or replace function corrections_of_master(p_master uuid, p_start timestamptz, p_from uuid, p_to uuid)
returns bigint language plpgsql stable as $$
declare live bigint;
begin
  live := (select coalesce(sum(e.units), 0)::bigint from usage_entry e
            where e.master_id = p_master and e.period_start = p_start and e.kind = 'correction' and e.id >= p_from and e.id < p_to);
  if not exists (select from ledger_archive where archived) then return live; end if;
  return live + (select coalesce(sum(d.corrections), 0)::bigint
                   from archived_days_of_ids(p_from, p_to) a
                   join usage_day d on d.entry_day = a.entry_day and d.master_id = p_master and d.period_start = p_start);
end $$;

alter function corrections_of set plan_cache_mode = force_generic_plan;
alter function corrections_of set enable_hashjoin = off;
alter function corrections_of set enable_mergejoin = off;
alter function corrections_of set enable_seqscan = off;
alter function corrections_of_master set plan_cache_mode = force_generic_plan;
alter function corrections_of_master set enable_seqscan = off;
