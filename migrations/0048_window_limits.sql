-- What a window of a short time may hold, and what is kept for transactional mail, stand where the door reads them anyway: in the window and in
-- the usage row. Gathered from the accounts in each call, they were most of what such limits cost a message.

-- In the order in which messages lock them, so that none that is under way waits for this in a circle.
alter table usage add column reserve bigint not null default 0;
alter table usage add column credited boolean not null default false;   -- there are credits, or there were when this was last looked at
alter table rate_window add column most bigint;                  -- null, without a ramp too: not in force
alter table rate_window add column ramp bigint[];                -- as the subaccount's daily cap (0022): whichever of the two is lower
alter table rate_window add column ramp_started_at timestamptz;
alter table rate_window add column total bigint not null default 0;   -- of all slots

-- Null: no limit at that moment.
create function window_most(p_most bigint, p_ramp bigint[], p_started timestamptz, p_at timestamptz) returns bigint language sql stable as
  $$ select least(p_most, daily_cap(p_ramp, p_started, p_at)) $$;

-- The windows that these subaccounts and credentials are to have: at most one for each span.
create function windows_of(p_subaccounts uuid[], p_credentials uuid[])
returns table (id uuid, span int, most bigint, ramp bigint[], ramp_started_at timestamptz) language sql stable as $$
  select g.id, l.span, l.most, l.ramp, g.ramp_started_at
    from (select s.id, s.rate_limits, s.daily_cap_ramp, s.ramp_started_at from subaccount s
           where s.id = any(p_subaccounts) and (s.rate_limits is not null or s.daily_cap_ramp is not null)
          union all
          select c.id, c.rate_limits, null, null from credential c where c.id = any(p_credentials) and c.rate_limits is not null) g,
         lateral (values (60, (g.rate_limits ->> 'minute')::bigint, null), (3600, (g.rate_limits ->> 'hour')::bigint, null),
                         (86400, (g.rate_limits ->> 'day')::bigint, g.daily_cap_ramp)) l (span, most, ramp)
   where l.most is not null or l.ramp is not null
$$;

create or replace function rates_in_force(p_subaccounts uuid[], p_credentials uuid[], p_at timestamptz)
returns table (id uuid, span int, most bigint) language sql stable as $$
  select w.id, w.span, x.most from windows_of(p_subaccounts, p_credentials) w,
         lateral (select window_most(w.most, w.ramp, w.ramp_started_at, p_at) as most) x where x.most is not null
$$;

create or replace function guard_opened_usage() returns trigger language plpgsql as $$
begin
  new.guarded := is_guarded(new.account_id);
  new.reserve := coalesce((select s.reserve from subaccount s where s.id = new.account_id), 0);
  new.credited := new.guarded and credits_left(new.account_id, pm_now()) > 0;
  return new;
end $$;
-- By index whatever the statistics say: thousands of rows may be opened while they are still those of empty tables.
alter function guard_opened_usage set enable_seqscan = off;

-- As 0020: at commit, under the locks of the usage rows. The windows of the account and of its credentials are brought in line; they stay,
-- with what they have counted, when their limit goes.
create or replace function sync_guards(p_account uuid) returns void language plpgsql as $$
declare u usage; g boolean; kept bigint; lots boolean; credentials uuid[];
begin
  for u in select * from usage where account_id = p_account and period_end > pm_now() order by period_start for update loop
    g := is_guarded(p_account);
    kept := coalesce((select s.reserve from subaccount s where s.id = p_account), 0);
    lots := credits_left(p_account, pm_now()) > 0;
    if (u.guarded, u.reserve, u.credited) <> (g, kept, lots) then
      update usage set guarded = g, reserve = kept, credited = lots where account_id = p_account and period_start = u.period_start;
    end if;
  end loop;
  credentials := array(select c.id from credential c where c.subaccount_id = p_account);
  perform 1 from rate_window w where w.id = any(p_account || credentials) order by w.id, w.span for update;
  update rate_window w set most = null, ramp = null, ramp_started_at = null
   where w.id = any(p_account || credentials) and (w.most is not null or w.ramp is not null)
     and not exists (select from windows_of(array[p_account], credentials) x where x.id = w.id and x.span = w.span);
  insert into rate_window (id, span, newest, slots, most, ramp, ramp_started_at)
  select x.id, x.span, 0, '{}', x.most, x.ramp, x.ramp_started_at from windows_of(array[p_account], credentials) x order by x.id, x.span
  on conflict (id, span) do update set most = excluded.most, ramp = excluded.ramp, ramp_started_at = excluded.ramp_started_at;
end $$;

-- Counts units into the slot of that moment. A clock that was put back counts into the newest there is.
create or replace function charge_windows(p_id uuid[], p_span int[], p_units bigint[], p_at timestamptz) returns void language plpgsql as $$
begin
  update rate_window w
     set newest = greatest(w.newest, c.slot),
         (slots, total) = (select n.slots, (select sum(s) from unnest(n.slots) s)
           from (select case when c.slot <= w.newest then array[w.slots[1] + c.units] || w.slots[2:61]
                             when c.slot - w.newest > 60 then array[c.units]
                             else array[c.units] || array_fill(0::bigint, array[(c.slot - w.newest - 1)::int])
                                  || w.slots[1 : 61 - (c.slot - w.newest)::int] end as slots) n)
    from (select g.id, g.span, g.units, rate_slot(p_at, g.span) as slot from unnest(p_id, p_span, p_units) g (id, span, units) where g.units > 0) c
   where w.id = c.id and w.span = c.span;
end $$;
update rate_window w set total = coalesce((select sum(s) from unnest(w.slots) s), 0);

insert into rate_window (id, span, newest, slots, most, ramp, ramp_started_at)
select x.id, x.span, 0, '{}', x.most, x.ramp, x.ramp_started_at
  from windows_of(array(select id from subaccount where rate_limits is not null or daily_cap_ramp is not null),
                  array(select id from credential where rate_limits is not null)) x
on conflict (id, span) do update set most = excluded.most, ramp = excluded.ramp, ramp_started_at = excluded.ramp_started_at;
update usage u set reserve = coalesce(s.reserve, 0), credited = credits_left(s.id, pm_now()) > 0 from subaccount s
 where s.id = u.account_id and u.guarded and u.period_end > pm_now();

-- lock_windows (0020) stays: who is in the middle of a call while this commits goes on in the accept_batch before, which asks it.

-- The moment of acceptance (0006, 0023), which reads them there, and looks for credits only where there are any: of those no message costs
-- more than it has units. Its parameters and its
-- answer are the same, so that the version before it goes on calling it.
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
  c_guarded boolean[]; c_reserve bigint[]; first uuid[]; w_id uuid[]; w_span int[]; w_room bigint[]; w_had bigint[]; w_still boolean; c_credited boolean[]; t60 bigint; ws int[]; w int;
  c_credit bigint[]; c_lift bigint[]; cr_m int[]; cr_u bigint[]; short bigint; counted_at timestamptz;
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
         array_agg(x.guarded order by x.i), array_agg(x.reserve order by x.i), array_agg(x.credited order by x.i)
    into k_used, k_cap, c_open, c_until, c_end, k_version, c_level, c_base, c_first, c_guarded, c_reserve, c_credited
    from (select k.i, u.* from unnest(k_id, k_start) with ordinality k(id, p, i)
          join usage u on u.account_id = k.id and u.period_start = k.p order by u.account_id, u.period_start for update of u) x;
  if k_used is null or cardinality(k_used) <> cardinality(k_id) then raise exception 'a usage row is missing' using errcode = 'PM001'; end if;
  t := pm_now();   -- while they are locked no period is closed, so this moment is the one that decides
  -- what else holds mail back, where anything does: read under the locks of the usage rows, and locked after them
  if true = any(c_guarded) then
    if 0 < any(c_reserve) then
      first := array(select c.id from credential c where c.id = any(m_credential) and c.transactional);
    end if;
    t60 := floor(extract(epoch from t) * 60);   -- by a span: rate_slot of that moment
    select array_agg(x.id), array_agg(x.span), array_agg(x.most - case when x.newest >= x.slot then x.total else rate_live(x.slots, x.newest, x.span, t) end),
           bool_and(x.newest >= x.slot)
      into w_id, w_span, w_room, w_still
      from (select w.id, w.span, w.slots, w.newest, w.total, t60 / w.span as slot, window_most(w.most, w.ramp, w.ramp_started_at, t) as most
              from rate_window w where w.id = any(k_id || m_credential) and (w.most is not null or w.ramp is not null) order by w.id, w.span for update) x
     where x.most is not null;
    w_had := w_room;
    if true = any(c_credited) then
      perform 1 from credit_lot l where l.subaccount_id = any(k_id) and l.spent < l.units order by l.id for update;
      counted_at := pm_now();
      select array_agg(case when x.guarded then credits_left(x.id, counted_at) else 0 end order by x.i), array_agg(0 order by x.i) into c_credit, c_lift
        from unnest(k_id, c_guarded) with ordinality x (id, guarded, i);
    end if;
  end if;
  -- 3. decide one after the other: a small message behind a big one still fits
  cur := k_used; verdict := array_fill(0::smallint, array[n]);
  for i in 1..n loop
    s := m_si[i]; m := m_mi[i]; u := m_units[i]; short := 0;
    if c_credit[s] > 0 then
      -- never more than the message has, also where a limit was lowered below what is used, or a reserve reaches into it
      short := least(u, greatest(cur[s] + u + case when m_credential[i] = any(first) then 0 else c_reserve[s] end - k_cap[s], cur[m] + u - k_cap[m], 0));
      if short > c_credit[s] then short := 0; end if;
    end if;
    if not (c_open[s] and c_open[m]) or t >= c_until[s] or t >= c_until[m] then verdict[i] := 3;
    elsif t >= c_end[s] then verdict[i] := 4;
    elsif t < k_start[s] then verdict[i] := 5;
    elsif cur[s] + u > k_cap[s] and short = 0 then verdict[i] := 1;        -- a null cap is no limit
    elsif cur[m] + u > k_cap[m] and short = 0 then verdict[i] := 2;
    elsif c_guarded[s] and (m_credential[i] = any(first)) is not true and cur[s] + u + c_reserve[s] > k_cap[s] and short = 0 then verdict[i] := 8;
    else
      if c_guarded[s] and w_id is not null then
        ws := array_positions(w_id, k_id[s]) || array_positions(w_id, m_credential[i]);
        foreach w in array ws loop
          if w_room[w] < u then verdict[i] := 7; end if;
        end loop;
        continue when verdict[i] <> 0;
        foreach w in array ws loop w_room[w] := w_room[w] - u; end loop;
      end if;
      if short > 0 then
        k_cap[s] := k_cap[s] + short; k_cap[m] := k_cap[m] + short;
        c_lift[s] := c_lift[s] + short; c_lift[m] := c_lift[m] + short; c_credit[s] := c_credit[s] - short;
        cr_m := cr_m || i; cr_u := cr_u || short;
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
          w := array_position(cr_m, i);
          if w is not null then
            c_lift[m_si[i]] := c_lift[m_si[i]] - cr_u[w]; c_lift[m_mi[i]] := c_lift[m_mi[i]] - cr_u[w];
            k_cap[m_si[i]] := k_cap[m_si[i]] - cr_u[w]; k_cap[m_mi[i]] := k_cap[m_mi[i]] - cr_u[w]; cr_u[w] := 0;
          end if;
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
    if cr_m is not null then
      for w in 1..cardinality(cr_m) loop
        i := cr_m[w];
        if cr_u[w] > 0 then perform spend_credits(m_id[i], k_id[m_mi[i]], k_id[m_si[i]], k_start[m_si[i]], cr_u[w], counted_at); end if;
      end loop;
      update usage x set cap = x.cap + d.l, credit_used = x.credit_used + d.l from unnest(k_id, k_start, c_lift) d(id, p, l)
       where x.account_id = d.id and x.period_start = d.p and d.l > 0;
    end if;
    -- A message that was voided meanwhile stays in its windows: they may hold back too much for a moment, never too little.
    if w_id is not null then
      if w_still then   -- no slot has begun since the last message: as charge_windows, for less
        update rate_window w set total = w.total + d.had - d.room, slots[1] = w.slots[1] + d.had - d.room
          from unnest(w_id, w_span, w_had, w_room) d(id, span, had, room) where w.id = d.id and w.span = d.span and d.had > d.room;
      else perform charge_windows(w_id, w_span, array(select w_had[j] - w_room[j] from generate_subscripts(w_id, 1) j), t);
      end if;
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
