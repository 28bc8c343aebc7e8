-- The rows that decide follow the accounts they stand for: by a deferred trigger, at commit, on the server. So no
-- usage lock lives across a client's round trip, and no caller can forget it. A transaction changes one account, or
-- several in ascending order of their ids.

create function alert_level(used bigint, base bigint, thresholds smallint[]) returns smallint language sql immutable as
  $$ select coalesce(max(t), 0)::smallint from unnest(thresholds) t where base > 0 and used * 100 >= base * t $$;

-- What an account's usage row must say now, master or subaccount. No row: no such account.
create function usage_terms(p_account uuid, p_start timestamptz,
  out master_id uuid, out cap bigint, out base bigint, out top_up bigint, out open boolean, out open_until timestamptz,
  out thresholds smallint[]) returns setof record language sql stable as $$
  select s.master_id, s.monthly_limit + t.units, s.monthly_limit + t.units, t.units,
         s.state = 'active' and s.suspended_at is null, s.expires_at, coalesce(s.alert_thresholds, m.alert_thresholds)
    from subaccount s join master m on m.id = s.master_id,
         lateral (select coalesce(sum(u.units), 0)::bigint units from top_up u where u.subaccount_id = s.id and u.period_start = p_start) t
   where s.id = p_account
  union all
  select m.id, case when m.overage = 'bill' then floor(m.allowance * m.ceiling_factor)::bigint else m.allowance end,
         m.allowance, 0, m.state = 'active' and m.suspended_at is null, m.expires_at, m.alert_thresholds
    from master m where m.id = p_account
$$;

-- Creates a missing usage row from its account. The share locks, master first, make it wait for a change under way.
create function open_usage(p_account uuid, p_start timestamptz, p_end timestamptz) returns void language plpgsql as $$
begin
  perform 1 from master where id = coalesce((select s.master_id from subaccount s where s.id = p_account), p_account) for share;
  perform 1 from subaccount where id = p_account for share;
  insert into usage (account_id, period_start, period_end, master_id, cap, base, top_up, open, open_until, thresholds)
  select p_account, p_start, p_end, t.master_id, t.cap, t.base, t.top_up, t.open, t.open_until, t.thresholds
    from usage_terms(p_account, p_start) t
  on conflict do nothing;
end $$;

-- Brings the rows of the running and coming periods in line with the account. A raised limit lowers the alert level
-- in silence; a lowered one fires here. Another change of the account leaves the level as it is.
create function sync_usage(p_account uuid) returns void language plpgsql as $$
declare u usage; t record; l smallint;
begin
  for u in select * from usage where account_id = p_account and period_end > pm_now() order by period_start for update loop
    select * into t from usage_terms(p_account, u.period_start);
    l := alert_level(u.used, t.base, t.thresholds);
    if (u.base, u.thresholds) is not distinct from (t.base, t.thresholds) then l := greatest(l, u.alert_level); end if;
    if (u.cap, u.base, u.top_up, u.open, u.open_until, u.thresholds, u.alert_level)
       is distinct from (t.cap, t.base, t.top_up, t.open, t.open_until, t.thresholds, l) then
      update usage set cap = t.cap, base = t.base, top_up = t.top_up, open = t.open, open_until = t.open_until,
             thresholds = t.thresholds, alert_level = l, version = version + 1
       where account_id = p_account and period_start = u.period_start;
      if l > u.alert_level then
        insert into alert values (p_account, u.period_start, l, u.version + 1, u.master_id, u.used, t.base, 'threshold', pm_now());
      end if;
    end if;
  end loop;
end $$;

create function sync_usage_of_row() returns trigger language plpgsql as $$
begin perform sync_usage(new.id); return null; end $$;
create function sync_usage_of_top_up() returns trigger language plpgsql as $$
begin perform sync_usage(new.subaccount_id); return null; end $$;
create constraint trigger master_syncs_usage after update on master deferrable initially deferred
  for each row execute function sync_usage_of_row();
create constraint trigger subaccount_syncs_usage after update on subaccount deferrable initially deferred
  for each row execute function sync_usage_of_row();
create constraint trigger top_up_syncs_usage after insert on top_up deferrable initially deferred
  for each row execute function sync_usage_of_top_up();

-- The level of a quota refusal: 100 percent, and for a master that is billed above its allowance what its cap is of it.
create function refusal_level(cap bigint, base bigint) returns smallint language sql immutable as
  $$ select case when base > 0 and cap > base then least(cap * 100 / base, 32767) else 100 end::smallint $$;

-- The first quota refusal of a period and limit alerts like the level that stops.
create function alert_refusal(p_account uuid, p_start timestamptz) returns boolean language plpgsql as $$
declare u usage; l smallint;
begin
  select * into u from usage where account_id = p_account and period_start = p_start for update;
  l := refusal_level(u.cap, u.base);
  if u.account_id is null or u.alert_level >= l then return false; end if;
  update usage set alert_level = l, version = version + 1 where account_id = p_account and period_start = p_start;
  insert into alert values (p_account, p_start, l, u.version + 1, u.master_id, u.used, u.base, 'refused', pm_now());
  return true;
end $$;

-- An alert is an event, and a job that mails it, in the transaction that crossed the threshold.
create function alert_is_announced() returns trigger language plpgsql as $$
begin
  insert into event (id, type, master_id, subaccount_id, at, data)
  values (new_event_id(pm_now()), 'quota.threshold', new.master_id,
          nullif(new.account_id, new.master_id), new.created_at,
          jsonb_build_object('level', new.level, 'used', new.used, 'base', new.base, 'reason', new.reason, 'period_start', new.period_start));
  perform graphile_worker.add_job('alert', json_build_object('account_id', new.account_id, 'period_start', new.period_start,
                                  'level', new.level, 'version', new.version));
  return null;
end $$;
create trigger alert_is_announced after insert on alert for each row execute function alert_is_announced();
