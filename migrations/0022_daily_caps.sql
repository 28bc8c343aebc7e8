-- A cap of each day for new subaccounts, which grows until they are free: whoever steals a fresh credential can't burn a month in an hour.
-- It is one more limit of a day (0020), and whichever of the two is lower holds.

alter table master add column new_subaccount_daily_cap jsonb;   -- {ramp, from_limit}: what a new subaccount starts with
alter table subaccount add column daily_cap_ramp bigint[];      -- units in any 24 hours on the first day, the second ...; then free
alter table subaccount add column ramp_started_at timestamptz;

-- Days are counted from the moment that the ramp was given, or from the first on which the account may send.
create function start_ramp() returns trigger language plpgsql as $$
begin
  if tg_op = 'INSERT' then new.ramp_started_at := case when new.daily_cap_ramp is not null then new.created_at end;
  elsif new.daily_cap_ramp is distinct from old.daily_cap_ramp then
    new.ramp_started_at := case when new.daily_cap_ramp is not null then pm_now() end;
  elsif old.state = 'pending' and new.state = 'active' and new.daily_cap_ramp is not null then new.ramp_started_at := pm_now();
  end if;
  return new;
end $$;
create trigger subaccount_ramp before insert or update on subaccount for each row execute function start_ramp();

-- Null: there is none any more.
create function daily_cap(p_ramp bigint[], p_started timestamptz, p_at timestamptz) returns bigint language sql stable as
  $$ select p_ramp[greatest(floor(extract(epoch from p_at - p_started) / 86400)::int, 0) + 1] $$;

create or replace function rates_in_force(p_subaccounts uuid[], p_credentials uuid[], p_at timestamptz)
returns table (id uuid, span int, most bigint) language sql stable as $$
  select g.id, l.span, l.most
    from (select s.id, s.rate_limits, daily_cap(s.daily_cap_ramp, s.ramp_started_at, p_at) as day from subaccount s
           where s.id = any(p_subaccounts) and (s.rate_limits is not null or s.daily_cap_ramp is not null)
          union all
          select c.id, c.rate_limits, null from credential c where c.id = any(p_credentials) and c.rate_limits is not null) g,
         lateral (values (60, (g.rate_limits ->> 'minute')::bigint), (3600, (g.rate_limits ->> 'hour')::bigint),
                         (86400, least((g.rate_limits ->> 'day')::bigint, g.day))) l (span, most)
   where l.most is not null
$$;

create or replace function is_guarded(p_account uuid) returns boolean language sql stable as $$
  select exists (select from subaccount s where s.id = p_account
                    and (s.rate_limits is not null or s.reserve > 0 or daily_cap(s.daily_cap_ramp, s.ramp_started_at, pm_now()) is not null))
      or exists (select from credential c where c.subaccount_id = p_account and c.rate_limits is not null and c.revoked_at is null)
$$;

create constraint trigger subaccount_ramp_guards after update on subaccount deferrable initially deferred for each row
  when ((old.daily_cap_ramp, old.ramp_started_at) is distinct from (new.daily_cap_ramp, new.ramp_started_at)) execute function guards_of_subaccount();
create constraint trigger subaccount_starts_capped after insert on subaccount deferrable initially deferred for each row
  when (new.daily_cap_ramp is not null) execute function guards_of_subaccount();
