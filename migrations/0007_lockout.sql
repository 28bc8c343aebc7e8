-- Failures of SMTP AUTH by user name and client network, and news of changes for the caches of every process.

-- Unlogged: after a crash everybody has five tries again. key: a keyed hash of user name and network.
create unlogged table lockout (
  key bytea primary key,
  failures int not null,
  locked_until timestamptz,
  expires_at timestamptz not null      -- from then on the row means nothing
);
create index lockout_by_age on lockout (expires_at);

-- Counts a failure; the fifth within five minutes of each other locks for five minutes. Returns until when, if it is locked.
-- Each call takes a few old rows away, so the table holds no more than the failures of some minutes.
create function auth_failed(p_key bytea) returns timestamptz language plpgsql as $$
declare t timestamptz := pm_now(); v_failures int; v_until timestamptz;
begin
  delete from lockout where key in (select key from lockout where expires_at <= t order by expires_at limit 10 for update skip locked);
  insert into lockout as l values (p_key, 1, null, t + interval '5 minutes')
  on conflict (key) do update set
    failures = case when l.expires_at <= t then 1 else l.failures + 1 end,
    locked_until = case when l.expires_at <= t then null when l.locked_until is not null then l.locked_until
                        when l.failures >= 4 then t + interval '5 minutes' end,
    expires_at = case when l.expires_at <= t or l.locked_until is null then t + interval '5 minutes' else l.expires_at end
  returning l.failures, l.locked_until into v_failures, v_until;
  -- Every process has to know of a first failure: the success that forgets it may come to another one.
  if v_failures = 1 then
    perform pg_notify('postmeter_account', 'failure:' || encode(p_key, 'hex'));
  elsif v_failures = 5 then
    perform pg_notify('postmeter_account', 'lockout:' || encode(p_key, 'hex') || ':' || floor(extract(epoch from v_until) * 1000)::bigint);
  end if;
  return v_until;
end $$;

-- What a process has cached about an account, and what its gate remembers of it, is dropped when it changes:
-- `<what>:<id>`, for domains `domain:<name>`. What every message or log-in writes (last use) is no news.
create function tell_change() returns trigger language plpgsql as $$
begin perform pg_notify('postmeter_account', tg_argv[0] || ':' || new.id); return null; end $$;

create trigger subaccount_tells after update on subaccount for each row
  when ((old.state, old.suspended_at, old.expires_at, old.public_message, old.master_id, old.monthly_limit)
        is distinct from (new.state, new.suspended_at, new.expires_at, new.public_message, new.master_id, new.monthly_limit))
  execute function tell_change('subaccount');
create trigger master_tells after update on master for each row
  when ((old.state, old.suspended_at, old.expires_at, old.sender_policy, old.anchor_day, old.time_zone, old.next_anchor_day,
         old.next_time_zone, old.calendar_changes_at, old.allowance, old.overage, old.ceiling_factor)
        is distinct from (new.state, new.suspended_at, new.expires_at, new.sender_policy, new.anchor_day, new.time_zone,
         new.next_anchor_day, new.next_time_zone, new.calendar_changes_at, new.allowance, new.overage, new.ceiling_factor))
  execute function tell_change('master');
create trigger credential_tells after update on credential for each row
  when ((old.secret_hash, old.previous_hash, old.previous_until, old.revoked_at)
        is distinct from (new.secret_hash, new.previous_hash, new.previous_until, new.revoked_at))
  execute function tell_change('credential');
create trigger key_tells after update on api_key for each row
  when ((old.key_hash, old.scopes, old.revoked_at) is distinct from (new.key_hash, new.scopes, new.revoked_at))
  execute function tell_change('key');

create function tell_top_up() returns trigger language plpgsql as $$
begin perform pg_notify('postmeter_account', 'subaccount:' || new.subaccount_id); return null; end $$;
create trigger top_up_tells after insert on top_up for each row execute function tell_top_up();

create function tell_domain() returns trigger language plpgsql as $$
begin
  if tg_op <> 'INSERT' and old.state = 'verified' then perform pg_notify('postmeter_account', 'domain:' || old.name); end if;
  if tg_op <> 'DELETE' and new.state = 'verified' then perform pg_notify('postmeter_account', 'domain:' || new.name); end if;
  return null;
end $$;
create trigger domain_tells after insert or update of state, master_id, subaccount_id, granted_to_all or delete on sender_domain
  for each row execute function tell_domain();

create function tell_grants() returns trigger language plpgsql as $$
begin
  perform pg_notify('postmeter_account', 'domain:' || d.name) from sender_domain d where d.id in (select domain_id from changed);
  return null;
end $$;
create trigger grants_tell after insert on domain_grant referencing new table as changed for each statement execute function tell_grants();
create trigger withdrawals_tell after delete on domain_grant referencing old table as changed for each statement execute function tell_grants();

-- A proof that is no longer found: the domain stays verified for a time of grace.
alter table sender_domain add column failing_since timestamptz;
create index sender_domain_by_check on sender_domain (checked_at) where state = 'verified';
