-- An event's data is shown as it is, so an instant in it is written as the API writes instants: UTC with Z.
create or replace function alert_is_announced() returns trigger language plpgsql as $$
begin
  insert into event (id, type, master_id, subaccount_id, at, data)
  values (new_event_id(pm_now()), 'quota.threshold', new.master_id,
          nullif(new.account_id, new.master_id), new.created_at,
          jsonb_build_object('level', new.level, 'used', new.used, 'base', new.base, 'reason', new.reason,
                             'period_start', to_char(new.period_start at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"')));
  perform graphile_worker.add_job('alert', json_build_object('account_id', new.account_id, 'period_start', new.period_start,
                                  'level', new.level, 'version', new.version));
  return null;
end $$;
