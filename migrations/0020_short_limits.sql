-- What may hold a message back beside the monthly limits: limits of a short time, and units that are kept for transactional mail.
--
-- The door decides them in the call that stores the message (accept_batch, 0023), under the same locks, so they are exact with any number of processes,
-- with and without Redis. An account that has neither pays for one more boolean of its usage row.

alter table subaccount add column rate_limits jsonb;   -- {minute, hour, day}: units in any span of that length; null: none
alter table subaccount add column reserve bigint check (reserve >= 0);   -- of the limit, for transactional credentials alone
alter table credential add column rate_limits jsonb;
alter table credential add column transactional boolean not null default false;

-- Units of the last minute, hour or day of a subaccount or a credential, in 60 slots and the one that is running: whatever lies in
-- these 61 counts, so that no span ever holds more than its limit; room comes back at most a slot late. A row is made with its limit.
create table rate_window (
  id uuid not null,                    -- a subaccount or a credential
  span int not null check (span in (60, 3600, 86400)),   -- seconds
  newest bigint not null,              -- the number of the newest slot, counted from 1970
  slots bigint[] not null,             -- units, the newest slot first; at most 61
  primary key (id, span)
) with (fillfactor = 30, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000);

create function rate_slot(p_at timestamptz, p_span int) returns bigint language sql stable as
  $$ select floor(extract(epoch from p_at) * 60 / p_span)::bigint $$;

-- Units that still count at that moment.
create function rate_live(p_slots bigint[], p_newest bigint, p_span int, p_at timestamptz) returns bigint language plpgsql stable as $$
declare units bigint; live bigint := 0;
begin
  foreach units in array coalesce(p_slots[1 : 61 - least(greatest(rate_slot(p_at, p_span) - p_newest, 0), 61)::int], '{}') loop
    live := live + units;
  end loop;
  return live;
end $$;

-- The limits of these subaccounts and credentials that hold at that moment: at most one for each span.
create function rates_in_force(p_subaccounts uuid[], p_credentials uuid[], p_at timestamptz)
returns table (id uuid, span int, most bigint) language sql stable as $$
  select g.id, l.span, l.most
    from (select s.id, s.rate_limits from subaccount s where s.id = any(p_subaccounts) and s.rate_limits is not null
          union all
          select c.id, c.rate_limits from credential c where c.id = any(p_credentials) and c.rate_limits is not null) g,
         lateral (values (60, (g.rate_limits ->> 'minute')::bigint), (3600, (g.rate_limits ->> 'hour')::bigint),
                         (86400, (g.rate_limits ->> 'day')::bigint)) l (span, most)
   where l.most is not null
$$;

-- Locks the windows of a batch, always after its usage rows and in one order, and tells what each has room for.
create function lock_windows(p_subaccounts uuid[], p_credentials uuid[], out w_id uuid[], out w_span int[], out w_room bigint[])
language plpgsql as $$
begin
  select array_agg(x.id), array_agg(x.span), array_agg(x.most - rate_live(x.slots, x.newest, x.span, pm_now())) into w_id, w_span, w_room
    from (select w.id, w.span, w.slots, w.newest, r.most from rates_in_force(p_subaccounts, p_credentials, pm_now()) r
            join rate_window w on w.id = r.id and w.span = r.span order by w.id, w.span for update of w) x;
end $$;

-- Counts units into the slot of that moment. A clock that was put back counts into the newest there is.
create function charge_windows(p_id uuid[], p_span int[], p_units bigint[], p_at timestamptz) returns void language plpgsql as $$
begin
  update rate_window w
     set newest = greatest(w.newest, c.slot),
         slots = case when c.slot <= w.newest then array[w.slots[1] + c.units] || w.slots[2:61]
                      when c.slot - w.newest > 60 then array[c.units]
                      else array[c.units] || array_fill(0::bigint, array[(c.slot - w.newest - 1)::int]) || w.slots[1 : 61 - (c.slot - w.newest)::int] end
    from (select g.id, g.span, g.units, rate_slot(p_at, g.span) as slot from unnest(p_id, p_span, p_units) g (id, span, units) where g.units > 0) c
   where w.id = c.id and w.span = c.span;
end $$;

-- Seconds until a message of so many units fits all windows of its subaccount and credential, if nothing else is sent. 0: it fits now;
-- -1: it never will, its units alone are more than a limit.
create function rate_wait(p_subaccount uuid, p_credential uuid, p_units int) returns int language plpgsql stable as $$
declare r record; t timestamptz := pm_now(); wait int := 0; free bigint; needed bigint := greatest(p_units, 1); seconds numeric;
begin
  for r in select f.span, f.most, w.newest, w.slots from rates_in_force(array[p_subaccount], array[p_credential], t) f
             left join rate_window w on w.id = f.id and w.span = f.span loop
    if needed > r.most then return -1; end if;
    free := r.most - rate_live(r.slots, r.newest, r.span, t);
    if free >= needed then continue; end if;
    -- Slot i (1 is the newest) falls out 61 slots after it began. The oldest go first, until there is room.
    select min((r.newest - x.i + 62) * r.span / 60.0) - extract(epoch from t) into seconds
      from (select s.i, sum(s.units) over (order by s.i desc) as freed
              from unnest(r.slots) with ordinality s (units, i)
             where r.newest - s.i + 62 > rate_slot(t, r.span)) x
     where free + x.freed >= needed;
    wait := greatest(wait, ceil(seconds)::int, 1);
  end loop;
  return wait;
end $$;

-- Does anything but the monthly limits hold this account's mail back? Kept in its usage rows, where the door sees it for nothing.
create function is_guarded(p_account uuid) returns boolean language sql stable as $$
  select exists (select from subaccount s where s.id = p_account and (s.rate_limits is not null or s.reserve > 0))
      or exists (select from credential c where c.subaccount_id = p_account and c.rate_limits is not null and c.revoked_at is null)
$$;

alter table usage add column guarded boolean not null default false;

create function guard_opened_usage() returns trigger language plpgsql as $$
begin new.guarded := is_guarded(new.account_id); return new; end $$;
create trigger usage_is_guarded before insert on usage for each row execute function guard_opened_usage();

-- As sync_usage (0005): at commit, on the server, after which no message is accepted against the change. The rows are locked also where
-- the flag stays as it is, since the door reads the limits themselves under these locks. Windows are made here, and stay.
create function sync_guards(p_account uuid) returns void language plpgsql as $$
declare u usage; g boolean;
begin
  for u in select * from usage where account_id = p_account and period_end > pm_now() order by period_start for update loop
    g := is_guarded(p_account);
    if u.guarded <> g then
      update usage set guarded = g where account_id = p_account and period_start = u.period_start;
    end if;
  end loop;
  insert into rate_window (id, span, newest, slots)
  select r.id, r.span, 0, '{}' from rates_in_force(array[p_account], array(select c.id from credential c where c.subaccount_id = p_account), pm_now()) r
   order by r.id, r.span on conflict do nothing;
end $$;

create function guards_of_subaccount() returns trigger language plpgsql as $$
begin
  perform sync_guards(new.id);
  perform pg_notify('postmeter_account', 'subaccount:' || new.id);
  return null;
end $$;
create constraint trigger subaccount_guards after update on subaccount deferrable initially deferred for each row
  when ((old.rate_limits, old.reserve) is distinct from (new.rate_limits, new.reserve)) execute function guards_of_subaccount();
create constraint trigger subaccount_starts_guarded after insert on subaccount deferrable initially deferred for each row
  when (new.rate_limits is not null) execute function guards_of_subaccount();

-- Whoever changes a credential's limits holds its subaccount's lock, so that a usage row that is being opened waits for the change.
create function guards_of_credential() returns trigger language plpgsql as $$
begin
  perform sync_guards(new.subaccount_id);
  perform pg_notify('postmeter_account', 'credential:' || new.id);
  return null;
end $$;
create constraint trigger credential_guards after update on credential deferrable initially deferred for each row
  when ((old.rate_limits, old.transactional) is distinct from (new.rate_limits, new.transactional)) execute function guards_of_credential();
create constraint trigger credential_starts_guarded after insert on credential deferrable initially deferred for each row
  when (new.rate_limits is not null) execute function guards_of_credential();
