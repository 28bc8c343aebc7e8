-- Outcomes of deliveries, in groups: recipients, events and queue rows in one call.
--
-- m_*: messages held by p_owner under attempt m_attempt; m_due null: nothing is left to do. r_*: recipients, r_m the index
-- of their message. A message that is no longer held (its lease ran out, it was cancelled) is left alone.
-- Returns which were still held.
create function settle_batch(
  p_owner int, m_id uuid[], m_attempt int[], m_due timestamptz[], m_route text[],
  r_m int[], r_n int[], r_state text[], r_attempt text[], out held boolean[])
language plpgsql as $$
declare t timestamptz := pm_now(); mine uuid[];
begin
  mine := array(select q.message_id from unnest(m_id, m_attempt) a(id, attempt) join queue q on q.message_id = a.id
                 where q.owner = p_owner and q.attempt = a.attempt order by q.message_id for update of q);
  select array_agg(id = any(mine) order by i) into held from unnest(m_id) with ordinality a(id, i);
  update recipient r set state = d.state, attempts = r.attempts || d.attempt::jsonb,
         settled_at = case when d.state = 'deferred' then null else t end
    from (select m_id[r_m[j]] as id, r_n[j] as n, r_state[j] as state, r_attempt[j] as attempt from generate_subscripts(r_m, 1) j) d
   where r.message_id = d.id and r.n = d.n and d.id = any(mine) and r.state in ('queued', 'deferred');
  insert into event (id, type, master_id, subaccount_id, message_id, at, data)
  select new_event_id(t), 'message.' || d.state, m.master_id, m.subaccount_id, m.id, t,
         d.attempt::jsonb || jsonb_build_object('recipient', r.address)
    from (select m_id[r_m[j]] as id, r_n[j] as n, r_state[j] as state, r_attempt[j] as attempt from generate_subscripts(r_m, 1) j) d
    join message m on m.id = d.id join recipient r on r.message_id = d.id and r.n = d.n
   where d.id = any(mine) and m.kind = 'submitted';
  delete from queue q using unnest(m_id, m_due) d(id, due) where q.message_id = d.id and d.due is null and d.id = any(mine);
  update queue q set due_at = d.due, owner = null, route = d.route from unnest(m_id, m_due, m_route) d(id, due, route)
   where q.message_id = d.id and d.due is not null and d.id = any(mine);
end $$;
alter function settle_batch set plan_cache_mode = force_generic_plan;
