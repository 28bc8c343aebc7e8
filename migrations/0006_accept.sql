-- The moment of acceptance: the messages of a batch are stored and charged in one call, one transaction.
--
-- k_*: the distinct usage rows of the batch, sorted by (account, period). m_si, m_mi: index of a message's subaccount
-- and master row. blob: part 0 of all bodies, one after the other; m_off (from 1) and m_len cut them. r_*: recipients, r_m is
-- the index of their message. m_lease: handed to this process at once, so inserted under its lease.
-- verdict: 0 accepted, 1 over the subaccount's cap, 2 over the master's, 3 closed, 4 after the period, 5 before it,
-- 6 voided meanwhile. Parts of a body that were written ahead are the caller's to remove.
-- Raises PM001 when a usage row is missing.
create function accept_batch(
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
         array_agg(x.base order by x.i), array_agg(x.thresholds[1] order by x.i)
    into k_used, k_cap, c_open, c_until, c_end, k_version, c_level, c_base, c_first
    from (select k.i, u.* from unnest(k_id, k_start) with ordinality k(id, p, i)
          join usage u on u.account_id = k.id and u.period_start = k.p order by u.account_id, u.period_start for update of u) x;
  if k_used is null or cardinality(k_used) <> cardinality(k_id) then raise exception 'a usage row is missing' using errcode = 'PM001'; end if;
  -- 3. decide one after the other: a small message behind a big one still fits
  t := pm_now(); cur := k_used; verdict := array_fill(0::smallint, array[n]);
  for i in 1..n loop
    s := m_si[i]; m := m_mi[i]; u := m_units[i];
    if not (c_open[s] and c_open[m]) or t >= c_until[s] or t >= c_until[m] then verdict[i] := 3;
    elsif t >= c_end[s] then verdict[i] := 4;
    elsif t < k_start[s] then verdict[i] := 5;
    elsif cur[s] + u > k_cap[s] then verdict[i] := 1;        -- a null cap is no limit
    elsif cur[m] + u > k_cap[m] then verdict[i] := 2;
    else cur[s] := cur[s] + u; cur[m] := cur[m] + u; ok := ok || i;
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
