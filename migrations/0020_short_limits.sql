-- What may hold a message back beside the monthly limits: limits of a short time, and units that are kept for transactional mail.
--
-- The door decides them in the call that stores the message, under the same locks, so they are exact with any number of processes,
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

-- The moment of acceptance (0006), which knows of windows and of the reserve now. Its parameters and its answer are the same, so that the
-- version before it goes on calling it.
--
-- k_*: the distinct usage rows of the batch, sorted by (account, period). m_si, m_mi: index of a message's subaccount
-- and master row. blob: part 0 of all bodies, one after the other; m_off (from 1) and m_len cut them. r_*: recipients, r_m is
-- the index of their message. m_lease: handed to this process at once, so inserted under its lease.
-- verdict: 0 accepted, 1 over the subaccount's cap, 2 over the master's, 3 closed, 4 after the period, 5 before it,
-- 6 voided meanwhile, 7 a window of a short time is full, 8 the rest of the limit is kept for transactional mail. Parts of a body that were
-- written ahead are the caller's to remove.
-- Raises PM001 when a usage row is missing.
create or replace function accept_batch(
  k_id uuid[], k_start timestamptz[],
  m_id uuid[], m_si int[], m_mi int[], m_units int[], m_credential uuid[], m_sender text[], m_size int[], m_parts int[],
  m_from text[], m_message_id text[], m_subject text[], m_envid text[], m_ret text[], m_eight_bit boolean[], m_utf8 boolean[],
  m_lease boolean[], m_off int[], m_len int[], blob bytea,
  r_m int[], r_n int[], r_address text[], r_orcpt text[], r_notify text[],
  p_owner int, p_lease interval, p_lifetime interval,
  out verdict smallint[], out leased boolean[], out k_used bigint[], out k_cap bigint[], out k_version bigint[])
language plpgsql as $$
declare
  n int := cardinality(m_id); i int; s int; m int; u int; t timestamptz := pm_now(); ok int[]; gone uuid[];
  cur bigint[]; level smallint[]; held uuid[];
  c_open boolean[]; c_until timestamptz[]; c_end timestamptz[]; c_level smallint[]; c_base bigint[]; c_first smallint[];
  c_guarded boolean[]; c_reserve bigint[]; m_first boolean[]; w_id uuid[]; w_span int[]; w_room bigint[]; w_had bigint[]; w_at jsonb; ws int[]; w int; g uuid;
begin
  -- 1. heavy rows first: nobody waits for a lock yet
  leased := m_lease;
  held := array(select h.subaccount_id from hold h where h.subaccount_id = any(k_id));
  if cardinality(held) > 0 then
    for i in 1..n loop leased[i] := leased[i] and not k_id[m_si[i]] = any(held); end loop;
  end if;
  insert into message (id, subaccount_id, master_id, kind, credential_id, sender, units, size_bytes, body_parts, header_from,
                       header_message_id, subject, envelope_id, ret, eight_bit, smtp_utf8, accepted_at)
  select m_id[j], k_id[m_si[j]], k_id[m_mi[j]], 'submitted', m_credential[j], m_sender[j], m_units[j], m_size[j], m_parts[j], m_from[j],
         m_message_id[j], m_subject[j], m_envid[j], m_ret[j], m_eight_bit[j], m_utf8[j], t from generate_subscripts(m_id, 1) j;
  insert into body select m_id[j], 0, substring(blob from m_off[j] for m_len[j]) from generate_subscripts(m_id, 1) j;
  insert into recipient (message_id, n, address, original_recipient, notify)
  select m_id[r_m[j]], r_n[j], r_address[j], r_orcpt[j], r_notify[j] from generate_subscripts(r_m, 1) j;
  insert into queue (message_id, subaccount_id, due_at, owner, attempt, expires_at)
  select m_id[j], k_id[m_si[j]], case when leased[j] then t + p_lease else t end, case when leased[j] then p_owner end,
         case when leased[j] then 1 else 0 end, t + p_lifetime from generate_subscripts(m_id, 1) j;
  -- 2. lock in one global order, in a statement of its own: what follows sees what it waited for
  select array_agg(x.used order by x.i), array_agg(x.cap order by x.i), array_agg(x.open order by x.i), array_agg(x.open_until order by x.i),
         array_agg(x.period_end order by x.i), array_agg(x.version order by x.i), array_agg(x.alert_level order by x.i),
         array_agg(x.base order by x.i), array_agg(x.thresholds[1] order by x.i),
         array_agg(x.guarded order by x.i)
    into k_used, k_cap, c_open, c_until, c_end, k_version, c_level, c_base, c_first, c_guarded
    from (select k.i, u.* from unnest(k_id, k_start) with ordinality k(id, p, i)
          join usage u on u.account_id = k.id and u.period_start = k.p order by u.account_id, u.period_start for update of u) x;
  if k_used is null or cardinality(k_used) <> cardinality(k_id) then raise exception 'a usage row is missing' using errcode = 'PM001'; end if;
  -- what else holds mail back, where anything does: read under the locks of the usage rows, and locked after them
  if true = any(c_guarded) then
    select array_agg(s.reserve order by x.i) into c_reserve from unnest(k_id, c_guarded) with ordinality x (id, guarded, i)
      left join subaccount s on s.id = x.id and x.guarded;
    select array_agg(c.transactional order by x.i) into m_first from unnest(m_credential) with ordinality x (id, i) left join credential c on c.id = x.id;
    select l.w_id, l.w_span, l.w_room into w_id, w_span, w_room
      from lock_windows(array(select x.id from unnest(k_id, c_guarded) x (id, guarded) where x.guarded),
                        array(select m_credential[j] from generate_subscripts(m_id, 1) j where c_guarded[m_si[j]])) l;
    w_had := w_room;
    select jsonb_object_agg(x.id, x.i) into w_at from (select f.id, min(f.i) as i from unnest(w_id) with ordinality f (id, i) group by f.id) x;
  end if;
  -- 3. decide one after the other: a small message behind a big one still fits
  t := pm_now(); cur := k_used; verdict := array_fill(0::smallint, array[n]);
  for i in 1..n loop
    s := m_si[i]; m := m_mi[i]; u := m_units[i];
    if not (c_open[s] and c_open[m]) or t >= c_until[s] or t >= c_until[m] then verdict[i] := 3;
    elsif t >= c_end[s] then verdict[i] := 4;
    elsif t < k_start[s] then verdict[i] := 5;
    elsif cur[s] + u > k_cap[s] then verdict[i] := 1;        -- a null cap is no limit
    elsif cur[m] + u > k_cap[m] then verdict[i] := 2;
    elsif c_guarded[s] and m_first[i] is not true and cur[s] + u + c_reserve[s] > k_cap[s] then verdict[i] := 8;
    else
      if c_guarded[s] and w_id is not null then
        ws := '{}';
        foreach g in array array[k_id[s], m_credential[i]] loop
          w := (w_at ->> g::text)::int;
          while w_id[w] = g loop
            if w_room[w] < u then verdict[i] := 7; end if;
            ws := ws || w; w := w + 1;
          end loop;
        end loop;
        continue when verdict[i] <> 0;
        foreach w in array ws loop w_room[w] := w_room[w] - u; end loop;
      end if;
      cur[s] := cur[s] + u; cur[m] := cur[m] + u; ok := ok || i;
    end if;
  end loop;
  -- 4. the charge; an id that was voided takes no part
  if ok is not null then
    with ins as (insert into usage_entry (id, master_id, subaccount_id, period_start, units, kind, accepted_at)
                 select m_id[j], k_id[m_mi[j]], k_id[m_si[j]], k_start[m_si[j]], m_units[j], 'accept', t from unnest(ok) j order by m_id[j]
                 on conflict (id) do nothing returning id)
    select array_agg(x) into gone from (select m_id[j] x from unnest(ok) j except select id from ins) y;
    if gone is not null then
      for i in 1..n loop
        if verdict[i] = 0 and m_id[i] = any(gone) then
          verdict[i] := 6; cur[m_si[i]] := cur[m_si[i]] - m_units[i]; cur[m_mi[i]] := cur[m_mi[i]] - m_units[i];
        end if;
      end loop;
    end if;
    level := c_level;
    for i in 1..cardinality(k_id) loop
      if c_base[i] > 0 and cur[i] * 100 >= c_base[i] * c_first[i] then
        level[i] := greatest(c_level[i], (select alert_level(cur[i], c_base[i], x.thresholds) from usage x where x.account_id = k_id[i] and x.period_start = k_start[i]));
        if level[i] > c_level[i] then
          insert into alert select k_id[i], k_start[i], level[i], k_version[i] + 1, x.master_id, cur[i], c_base[i], 'threshold', t
            from usage x where x.account_id = k_id[i] and x.period_start = k_start[i];
        end if;
      end if;
    end loop;
    update usage x set used = d.v, version = x.version + 1, alert_level = d.l from unnest(k_id, k_start, cur, level) d(id, p, v, l)
     where x.account_id = d.id and x.period_start = d.p and (d.v <> x.used or d.l <> x.alert_level);
    for i in 1..cardinality(k_id) loop
      if cur[i] <> k_used[i] or level[i] <> c_level[i] then k_version[i] := k_version[i] + 1; end if;
    end loop;
    k_used := cur;
    -- A message that was voided meanwhile stays in its windows: they may hold back too much for a moment, never too little.
    if w_id is not null then
      perform charge_windows(w_id, w_span, array(select w_had[j] - w_room[j] from generate_subscripts(w_id, 1) j), t);
    end if;
  end if;
  -- 5. take the refused ones out again (rare: the gate has filtered)
  gone := array(select m_id[j] from generate_subscripts(m_id, 1) j where verdict[j] <> 0);
  if cardinality(gone) > 0 then
    delete from queue where message_id = any(gone);
    delete from message where id = any(gone);
    delete from body where message_id = any(gone) and part = 0;
    delete from recipient where message_id = any(gone);
  end if;
end $$;
-- One plan for all calls (else it plans anew each time), by index whatever the statistics say.
alter function accept_batch set plan_cache_mode = force_generic_plan;
alter function accept_batch set enable_hashjoin = off;
alter function accept_batch set enable_mergejoin = off;
alter function accept_batch set enable_seqscan = off;
