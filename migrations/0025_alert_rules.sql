-- What is told of whom, and how. No row: the defaults of alerts/rule.ts.

create table alert_rule (
  id uuid primary key,
  master_id uuid not null references master (id),
  subaccount_id uuid references subaccount (id),   -- null: for all of the master's accounts that have no own one of the kind
  kind text not null check (kind in ('threshold', 'refusals', 'forecast', 'jump')),
  name text not null,
  enabled boolean not null,
  topic text not null,                 -- who hears of it
  delivery text check (delivery in ('immediately', 'daily', 'weekly')),   -- null: as the master has chosen
  percents smallint[],                 -- threshold: only these; null: all
  days_before smallint check (days_before between 1 and 30),              -- forecast
  factor numeric(6, 2) check (factor between 1.5 and 1000),               -- jump
  minimum bigint check (minimum >= 100),                                  -- jump: units of a day
  created_at timestamptz not null,
  updated_at timestamptz not null,
  version bigint not null default 1,
  check ((kind = 'forecast') = (days_before is not null) and (kind = 'jump') = (factor is not null and minimum is not null)
         and (kind = 'threshold' or percents is null))
);
create unique index alert_rule_of_account on alert_rule (coalesce(subaccount_id, master_id), kind);
create index alert_rule_by_master on alert_rule (master_id, id);

-- What each account had used when it was last looked at (alerts/watch.ts). Only those that have sent since are written.
create table usage_mark (
  account_id uuid primary key,
  master_id uuid not null,
  period_start timestamptz not null,
  used bigint not null,
  day date not null,                   -- of the master's zone, when it was looked at
  day_used bigint not null,            -- what was used when that day began, as far as is known
  usual bigint,                        -- what that day usually brings, once it was reckoned
  jump_day date,                       -- the last day whose jump is told, or of which none can be told
  foreseen_day date                    -- the last day on which its forecast was reckoned
) with (fillfactor = 70);

-- Marks what has been used since the last time. Returns how many accounts have. The clock is asked once, not for each row.
create function mark_usage() returns bigint language sql as $$
  with running as materialized (
    select m.id, p.period_start,
           ((select pm_now()) at time zone case when m.calendar_changes_at <= (select pm_now()) then m.next_time_zone else m.time_zone end)::date as today
      from master m,
           lateral (select max(u.period_start) as period_start from usage u where u.master_id = m.id and u.period_start <= (select pm_now())) p
     where p.period_start is not null
  ), marked as (
    insert into usage_mark as k (account_id, master_id, period_start, used, day, day_used)
    select u.account_id, u.master_id, u.period_start, u.used, r.today, 0
      from running r join usage u on u.master_id = r.id and u.period_start = r.period_start
      left join usage_mark seen on seen.account_id = u.account_id
     where u.period_end > (select pm_now()) and u.used > 0 and (seen.used, seen.period_start) is distinct from (u.used, u.period_start)
    on conflict (account_id) do update set
      day_used = case when k.period_start <> excluded.period_start then 0 when k.day <> excluded.day then k.used else k.day_used end,
      usual = case when k.day = excluded.day then k.usual end,
      master_id = excluded.master_id, period_start = excluded.period_start, used = excluded.used, day = excluded.day
    returning 1
  ) select count(*) from marked
$$;
