-- Credits: units that a master has bought ahead. It gives them to subaccounts, which use them after limit and top-ups, those first that
-- expire first. A bought unit lifts both caps, so that it can be used whatever else is used up.
--
-- What was spent is part of the usage row's cap from that moment on: used never passes cap, before and after, and all that reads a row
-- reads it right. The journal says for each message what it took of which lot; `postmeter ledger verify` recomputes all of it.

create table credit_pack (
  id uuid primary key,
  master_id uuid not null references master (id),
  units bigint not null check (units > 0),
  note text,
  expires_at timestamptz,
  created_at timestamptz not null
);
create index credit_pack_by_master on credit_pack (master_id, id);

-- What of a pack was given to a subaccount.
create table credit_lot (
  id uuid primary key,
  pack_id uuid not null references credit_pack (id),
  master_id uuid not null,
  subaccount_id uuid not null references subaccount (id),
  units bigint not null check (units > 0),
  spent bigint not null default 0 check (spent between 0 and units),
  expires_at timestamptz,
  created_at timestamptz not null
);
create index credit_lot_by_account on credit_lot (subaccount_id, id);
create index credit_lot_left on credit_lot (subaccount_id) where spent < units;
create index credit_lot_by_pack on credit_lot (pack_id);

-- The journal: one row for a message and a lot. Append-only.
create table credit_entry (
  message_id uuid not null,
  lot_id uuid not null,
  master_id uuid not null,
  subaccount_id uuid not null,
  period_start timestamptz not null,
  units bigint not null check (units > 0),
  spent_at timestamptz not null,
  primary key (message_id, lot_id)
);
create index credit_entry_by_account on credit_entry (master_id, period_start, subaccount_id);
create index credit_entry_by_lot on credit_entry (lot_id);

alter table usage add column credit_used bigint not null default 0 check (credit_used >= 0);   -- of used; part of cap

create function credits_left(p_subaccount uuid, p_at timestamptz) returns bigint language plpgsql stable as $$
begin
  return (select coalesce(sum(l.units - l.spent), 0)::bigint from credit_lot l
           where l.subaccount_id = p_subaccount and l.spent < l.units and (l.expires_at is null or l.expires_at > p_at));
end $$;

-- Under the locks of the usage rows and of the lots, for a message that was found to fit.
create function spend_credits(p_message uuid, p_master uuid, p_subaccount uuid, p_start timestamptz, p_units bigint, p_at timestamptz)
returns void language plpgsql as $$
declare l credit_lot; owing bigint := p_units; taken bigint;
begin
  for l in select * from credit_lot x where x.subaccount_id = p_subaccount and x.spent < x.units and (x.expires_at is null or x.expires_at > p_at)
            order by x.expires_at nulls last, x.id for update loop
    taken := least(owing, l.units - l.spent);
    update credit_lot set spent = spent + taken where id = l.id;
    insert into credit_entry values (p_message, l.id, p_master, p_subaccount, p_start, taken, pm_now());
    owing := owing - taken;
    exit when owing = 0;
  end loop;
  if owing > 0 then raise exception 'credits were counted that are not there'; end if;
end $$;

create or replace function is_guarded(p_account uuid) returns boolean language sql stable as $$
  select exists (select from subaccount s where s.id = p_account
                    and (s.rate_limits is not null or s.reserve > 0 or daily_cap(s.daily_cap_ramp, s.ramp_started_at, pm_now()) is not null))
      or exists (select from credential c where c.subaccount_id = p_account and c.rate_limits is not null and c.revoked_at is null)
      or credits_left(p_account, pm_now()) > 0
$$;

create function guards_of_lot() returns trigger language plpgsql as $$
begin
  perform sync_guards(new.subaccount_id);
  perform pg_notify('postmeter_account', 'subaccount:' || new.subaccount_id);
  return null;
end $$;
create constraint trigger lot_guards after insert on credit_lot deferrable initially deferred for each row execute function guards_of_lot();

-- The usage row's own count of what was spent; the row is locked by whoever syncs it.
create function credits_used(p_account uuid, p_start timestamptz) returns bigint language sql stable as
  $$ select coalesce((select u.credit_used from usage u where u.account_id = p_account and u.period_start = p_start), 0) $$;

-- As 0005, and what was spent lifts the cap.
create or replace function usage_terms(p_account uuid, p_start timestamptz,
  out master_id uuid, out cap bigint, out base bigint, out top_up bigint, out open boolean, out open_until timestamptz,
  out thresholds smallint[]) returns setof record language sql stable as $$
  select s.master_id, s.monthly_limit + t.units + credits_used(s.id, p_start), s.monthly_limit + t.units, t.units,
         s.state = 'active' and s.suspended_at is null, s.expires_at, coalesce(s.alert_thresholds, m.alert_thresholds)
    from subaccount s join master m on m.id = s.master_id,
         lateral (select coalesce(sum(u.units), 0)::bigint units from top_up u where u.subaccount_id = s.id and u.period_start = p_start) t
   where s.id = p_account
  union all
  select m.id, case when m.overage = 'bill' then floor(m.allowance * m.ceiling_factor)::bigint else m.allowance end + credits_used(m.id, p_start),
         m.allowance, 0, m.state = 'active' and m.suspended_at is null, m.expires_at, m.alert_thresholds
    from master m where m.id = p_account
$$;

-- The moment of acceptance (0006), which knows of windows and of the reserve (0020) now, and spends credits where the limits are used up: a message takes of them what it has beyond
-- both caps, and lifts both by that. Its parameters and its answer are the same, so that the
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
    perform 1 from credit_lot l where l.subaccount_id = any(k_id) and l.spent < l.units order by l.id for update;
    counted_at := pm_now();
    select array_agg(case when x.guarded then credits_left(x.id, counted_at) else 0 end order by x.i), array_agg(0 order by x.i) into c_credit, c_lift
      from unnest(k_id, c_guarded) with ordinality x (id, guarded, i);
    select jsonb_object_agg(x.id, x.i) into w_at from (select f.id, min(f.i) as i from unnest(w_id) with ordinality f (id, i) group by f.id) x;
  end if;
  -- 3. decide one after the other: a small message behind a big one still fits
  t := pm_now(); cur := k_used; verdict := array_fill(0::smallint, array[n]);
  for i in 1..n loop
    s := m_si[i]; m := m_mi[i]; u := m_units[i]; short := 0;
    if c_credit[s] > 0 then
      short := greatest(cur[s] + u + case when m_first[i] then 0 else coalesce(c_reserve[s], 0) end - k_cap[s], cur[m] + u - k_cap[m], 0);
      if short > c_credit[s] then short := 0; end if;
    end if;
    if not (c_open[s] and c_open[m]) or t >= c_until[s] or t >= c_until[m] then verdict[i] := 3;
    elsif t >= c_end[s] then verdict[i] := 4;
    elsif t < k_start[s] then verdict[i] := 5;
    elsif cur[s] + u > k_cap[s] and short = 0 then verdict[i] := 1;        -- a null cap is no limit
    elsif cur[m] + u > k_cap[m] and short = 0 then verdict[i] := 2;
    elsif c_guarded[s] and m_first[i] is not true and cur[s] + u + c_reserve[s] > k_cap[s] and short = 0 then verdict[i] := 8;
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
