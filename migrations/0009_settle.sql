-- Outcomes of deliveries, in groups: recipients, events and queue rows in one call.
--
-- m_*: messages held by p_owner under attempt m_attempt; m_due null: nothing is left to do. r_*: recipients, r_m the index
-- of their message; r_event: the id of the event that tells of it, null where none is told. A message that is no longer
-- held (its lease ran out, it was cancelled) is left alone. Returns which were still held.
create function settle_batch(
  p_owner int, m_id uuid[], m_attempt int[], m_due timestamptz[], m_route text[], m_master uuid[], m_subaccount uuid[],
  r_m int[], r_n int[], r_state text[], r_attempt text[], r_event uuid[], r_data text[], out held boolean[])
language plpgsql as $$
declare t timestamptz := pm_now(); mine uuid[]; done int[];
begin
  mine := array(select q.message_id from unnest(m_id, m_attempt) a(id, attempt) join queue q on q.message_id = a.id
                 where q.owner = p_owner and q.attempt = a.attempt order by q.message_id for update of q);
  select array_agg(a.id = any(mine) order by i) into held from unnest(m_id) with ordinality a(id, i);
  done := array(select j from generate_subscripts(r_m, 1) j where held[r_m[j]]);
  update recipient r set state = r_state[d.j], attempts = r.attempts || r_attempt[d.j]::jsonb,
         settled_at = case when r_state[d.j] = 'deferred' then null else t end
    from unnest(done) d(j)
   where r.message_id = m_id[r_m[d.j]] and r.n = r_n[d.j] and r.state in ('queued', 'deferred');
  insert into event (id, type, master_id, subaccount_id, message_id, at, data)
  select r_event[j], 'message.' || r_state[j], m_master[r_m[j]], m_subaccount[r_m[j]], m_id[r_m[j]], t, r_data[j]::jsonb
    from unnest(done) d(j) where r_event[j] is not null;
  delete from queue q using unnest(m_id, m_due, held) d(id, due, held) where q.message_id = d.id and d.due is null and d.held;
  update queue q set due_at = d.due, owner = null, route = d.route from unnest(m_id, m_due, m_route, held) d(id, due, route, held)
   where q.message_id = d.id and d.due is not null and d.held;
end $$;
-- One plan for all calls, by index whatever the statistics say: a day's partition is empty at midnight and huge at noon.
alter function settle_batch set plan_cache_mode = force_generic_plan;
alter function settle_batch set enable_hashjoin = off;
alter function settle_batch set enable_mergejoin = off;
alter function settle_batch set enable_seqscan = off;
