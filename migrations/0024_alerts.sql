-- Alerts of every kind are rows of one table, told once each: at once, or in a digest.

alter table alert add column id uuid not null default new_event_id(pm_now());
update alert set id = new_event_id(created_at);
alter table alert
  drop constraint alert_pkey,
  drop constraint alert_reason_check,
  add primary key (id),
  alter column level drop not null,        -- of thresholds and refusals
  alter column version drop not null,
  add constraint alert_reason_check check (reason in ('threshold', 'refused', 'forecast', 'jump')),
  add column data jsonb not null default '{}',   -- of forecasts and jumps, as events show it
  -- How it is told; null: not decided yet. off: a rule says so, or nobody wants to hear of it.
  add column delivery text check (delivery in ('immediately', 'daily', 'weekly', 'off')),
  add column digest_at timestamptz;        -- it waits for the digest of then
create unique index alert_once_per_level on alert (account_id, period_start, level, version) where reason in ('threshold', 'refused');
create unique index alert_forecast_once on alert (account_id, period_start, base) where reason = 'forecast';
create unique index alert_jump_once on alert (account_id, (data ->> 'date')) where reason = 'jump';
create index alert_by_master on alert (master_id, id);
create index alert_by_account on alert (account_id, id);
create index alert_for_digest on alert (digest_at) where notified_at is null and digest_at is not null;
update alert set delivery = 'immediately' where notified_at is not null;

-- An alert is an event, and a job that tells it, in the transaction that found it. A node of the version before knows
-- thresholds by their old key.
create or replace function alert_is_announced() returns trigger language plpgsql as $$
declare period jsonb := jsonb_build_object('period_start', to_char(new.period_start at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"'));
        v_type text := 'quota.threshold'; v_data jsonb;
begin
  case new.reason
    when 'forecast' then v_type := 'quota.forecast'; v_data := new.data || jsonb_build_object('used', new.used, 'base', new.base);
    when 'jump' then v_type := 'usage.jump'; v_data := new.data;
    else v_data := jsonb_build_object('level', new.level, 'used', new.used, 'base', new.base, 'reason', new.reason);
  end case;
  insert into event (id, type, master_id, subaccount_id, at, data)
  values (new_event_id(pm_now()), v_type, new.master_id, nullif(new.account_id, new.master_id), new.created_at, v_data || period);
  perform graphile_worker.add_job('alert', json_build_object('id', new.id, 'account_id', new.account_id, 'period_start', new.period_start,
                                  'level', new.level, 'version', new.version));
  return null;
end $$;

-- Digests go out at eight in the master's zone, weekly ones on Mondays.
alter table master add column alert_delivery text not null default 'immediately' check (alert_delivery in ('immediately', 'daily', 'weekly'));
alter table master add column alert_urgent_immediately boolean not null default true;   -- what is used up, and refusals, even so
-- By how many percent of its limit a link in an alert may raise an account without a log-in.
alter table master add column raise_link_max_percent int not null default 100 check (raise_link_max_percent between 0 and 1000);

create function digest_at(p_now timestamptz, p_zone text, p_delivery text) returns timestamptz language sql stable as $$
  select min(t.at) from generate_series(0, 1) n,
         lateral (select (date_trunc(u.unit, p_now at time zone p_zone) + n * ('1 ' || u.unit)::interval + interval '8 hours') at time zone p_zone as at
                    from (select case when p_delivery = 'weekly' then 'week' else 'day' end as unit) u) t
   where t.at > p_now
$$;

-- Letters of ours and what became of them, kept longer than the messages themselves. states[i] is recipients[i]'s.
create table letter (
  message_id uuid primary key,
  master_id uuid not null,             -- ...0001: the platform's own
  recipients text[] not null,
  states text[] not null,
  sent_at timestamptz not null,
  settled_at timestamptz
);
create index letter_open on letter (message_id) where settled_at is null;
create index letter_by_age on letter (sent_at);

create table alert_letter (
  alert_id uuid not null references alert (id),
  message_id uuid not null,
  side text not null check (side in ('master', 'subaccount')),
  primary key (alert_id, message_id)
);

-- Addresses at which a letter of ours bounced, until one arrives or the address is no longer the account's.
create table undeliverable_email (
  master_id uuid not null references master (id),
  email text not null,                 -- lower case
  since timestamptz not null,
  reason text not null,                -- the last answer
  message_id uuid not null,
  primary key (master_id, email)
);

create function addresses_in(list jsonb) returns setof text language sql immutable as
  $$ select lower(coalesce(e ->> 'email', e #>> '{}')) from jsonb_array_elements(coalesce(nullif(list, 'null'), '[]')) e $$;

-- An address that an account no longer has is not its trouble any more.
create function forget_undeliverable(p_master uuid, p_was text[], p_is text[]) returns void language sql as
  $$ delete from undeliverable_email where master_id = p_master and email = any(p_was) and not email = any(p_is) $$;
create function master_forgets_undeliverable() returns trigger language plpgsql as $$
begin
  perform forget_undeliverable(new.id, array(select addresses_in(old.notification_emails)), array(select addresses_in(new.notification_emails)));
  return null;
end $$;
create trigger master_forgets_undeliverable after update of notification_emails on master for each row
  when (old.notification_emails is distinct from new.notification_emails) execute function master_forgets_undeliverable();
create function subaccount_forgets_undeliverable() returns trigger language plpgsql as $$
begin
  perform forget_undeliverable(new.master_id,
    array(select addresses_in(old.notification_emails)) || lower(coalesce(old.owner_email, '')),
    array(select addresses_in(new.notification_emails)) || lower(coalesce(new.owner_email, '')));
  return null;
end $$;
create trigger subaccount_forgets_undeliverable after update of notification_emails, owner_email on subaccount for each row
  when ((old.notification_emails, old.owner_email) is distinct from (new.notification_emails, new.owner_email))
  execute function subaccount_forgets_undeliverable();
