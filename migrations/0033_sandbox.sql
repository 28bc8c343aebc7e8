-- The sandbox: mail that goes the whole way and is never delivered. A subaccount or a credential is one from the start or never.
--
-- It has a counter of its own: the usage row of a sandbox subaccount, or a row under the id of a sandbox credential, which counts
-- up to its subaccount's limit. No row of a master moves, and its entries are of a kind that no sum of the ledger counts.
alter table subaccount add column sandbox boolean not null default false;
alter table credential add column sandbox boolean not null default false;
alter table message add column sandbox boolean;      -- null: no
-- Not checked again for what stands there: it was held to less.
alter table usage_entry drop constraint usage_entry_kind_check;
alter table usage_entry add constraint usage_entry_kind_check check (kind in ('accept', 'void', 'correction', 'sandbox')) not valid;

-- Acceptance of a batch of sandbox mail. Parameters, verdicts and order of locks are those of accept_batch (0006), which live mail
-- takes without being asked anything more. k_used of a subaccount is what its message's own counter says. Queued under the route
-- `sandbox:`, which every attempt keeps.
create function accept_sandbox(
  k_id uuid[], k_start timestamptz[],
  m_id uuid[], m_si int[], m_mi int[], m_units int[], m_credential uuid[], m_sender text[], m_size int[], m_parts int[],
  m_from text[], m_message_id text[], m_subject text[], m_envid text[], m_ret text[], m_eight_bit boolean[], m_utf8 boolean[],
  m_lease boolean[], m_off int[], m_len int[], blob bytea,
  r_m int[], r_n int[], r_address text[], r_orcpt text[], r_notify text[],
  p_owner int, p_lease interval, p_lifetime interval,
  out verdict smallint[], out leased boolean[], out k_used bigint[], out k_cap bigint[], out k_version bigint[])
language plpgsql as $$
declare
  n int := cardinality(m_id); i int; v smallint; t timestamptz; s usage; m usage; b usage;
  box uuid[];                          -- of each message: the account whose row counts it
begin
  leased := m_lease; verdict := array_fill(0::smallint, array[n]);
  select array_agg(case when a.sandbox then a.id when c.sandbox then c.id end order by x.i) into box
    from unnest(m_si, m_credential) with ordinality x (si, credential, i)
    join subaccount a on a.id = k_id[x.si] left join credential c on c.id = x.credential and c.subaccount_id = a.id;
  if box is null or cardinality(box) <> n or array_position(box, null) is not null then raise exception 'this mail is not of the sandbox'; end if;
  insert into usage (account_id, period_start, period_end, master_id, cap, base, top_up, open, open_until, thresholds)
  select distinct on (x.id, u.period_start) x.id, u.period_start, u.period_end, u.master_id, null::bigint, null::bigint, 0, true, null::timestamptz, u.thresholds
    from unnest(box, m_si) x (id, si) join usage u on u.account_id = k_id[x.si] and u.period_start = k_start[x.si]
   where x.id <> u.account_id order by x.id, u.period_start on conflict do nothing;
  perform 1 from usage u join (select k.id, k.p from unnest(k_id, k_start) k (id, p) union select box[j], k_start[m_si[j]] from generate_subscripts(m_id, 1) j) k
      on u.account_id = k.id and u.period_start = k.p order by u.account_id, u.period_start for update of u;
  select array_agg(u.used order by k.i), array_agg(u.cap order by k.i), array_agg(u.version order by k.i) into k_used, k_cap, k_version
    from unnest(k_id, k_start) with ordinality k (id, p, i) join usage u on u.account_id = k.id and u.period_start = k.p;
  if k_used is null or cardinality(k_used) <> cardinality(k_id) then raise exception 'a usage row is missing' using errcode = 'PM001'; end if;
  t := pm_now();
  for i in 1..n loop
    select * into s from usage where account_id = k_id[m_si[i]] and period_start = k_start[m_si[i]];
    select * into m from usage where account_id = k_id[m_mi[i]] and period_start = k_start[m_mi[i]];
    select * into b from usage where account_id = box[i] and period_start = s.period_start;
    k_used[m_si[i]] := b.used;
    v := case when not (s.open and m.open) or t >= s.open_until or t >= m.open_until then 3
              when t >= s.period_end then 4 when t < s.period_start then 5 when b.used + m_units[i] > s.cap then 1 else 0 end;
    if v = 0 then
      insert into usage_entry (id, master_id, subaccount_id, period_start, units, kind, accepted_at)
      values (m_id[i], k_id[m_mi[i]], k_id[m_si[i]], s.period_start, m_units[i], 'sandbox', t) on conflict (id) do nothing;
      if not found then v := 6; end if;
    end if;
    verdict[i] := v;
    continue when v <> 0;
    update usage set used = used + m_units[i], version = version + 1 where account_id = box[i] and period_start = s.period_start;
    k_used[m_si[i]] := b.used + m_units[i];
    insert into message (id, subaccount_id, master_id, kind, credential_id, sender, units, size_bytes, body_parts, header_from,
                         header_message_id, subject, envelope_id, ret, eight_bit, smtp_utf8, accepted_at, sandbox)
    values (m_id[i], k_id[m_si[i]], k_id[m_mi[i]], 'submitted', m_credential[i], m_sender[i], m_units[i], m_size[i], m_parts[i], m_from[i],
            m_message_id[i], m_subject[i], m_envid[i], m_ret[i], m_eight_bit[i], m_utf8[i], t, true);
    insert into body values (m_id[i], 0, substring(blob from m_off[i] for m_len[i]));
    insert into recipient (message_id, n, address, original_recipient, notify)
    select m_id[i], r_n[j], r_address[j], r_orcpt[j], r_notify[j] from generate_subscripts(r_m, 1) j where r_m[j] = i;
    leased[i] := m_lease[i] and not exists (select from hold h where h.subaccount_id = k_id[m_si[i]]);
    insert into queue (message_id, subaccount_id, due_at, owner, attempt, expires_at, route)
    values (m_id[i], k_id[m_si[i]], case when leased[i] then t + p_lease else t end, case when leased[i] then p_owner end,
            case when leased[i] then 1 else 0 end, t + p_lifetime, 'sandbox:');
  end loop;
end $$;
