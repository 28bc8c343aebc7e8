-- The fair claim: due messages under a lease, a few of each tenant in turn. No due row: one row of nulls, with where the walk ended.
--
-- The plan: a skip scan over queue_due walks from tenant to tenant (one index probe each, whatever a tenant's backlog), the
-- lateral part takes the oldest due rows of each, `skip locked` passes over what another claimer has in hand. A
-- row_number() over the backlog would read all of it.
--
-- A held tenant's mail waits, but its lifetime runs on: what `expire_held` has marked (due at RETURN_AT) is taken as overdue,
-- to be returned without another try.
create function return_at() returns timestamptz language sql immutable as $$ select timestamptz '1970-01-01 00:00:00+00' $$;

-- Marks what has outlived its time in the queues of held tenants. Returns how many.
create function expire_held() returns bigint language sql as $$
  with late as (
    select q.message_id from queue q join (
        select h.subaccount_id as id from hold h union
        select s.id from subaccount s join master m on m.id = s.master_id where s.suspended_at is not null or m.suspended_at is not null) held
      on held.id = q.subaccount_id
     where q.expires_at <= pm_now() and q.owner is null and q.due_at > return_at() order by q.message_id for update of q skip locked
  ), marked as (
    update queue q set due_at = return_at() from late where q.message_id = late.message_id returning 1
  ) select count(*) from marked
$$;

create function claim_batch(p_cursor uuid, p_tenants int, p_per_tenant int, p_limit int, p_owner int, p_lease interval)
returns table (
  id uuid, subaccount_id uuid, master_id uuid, kind text, attempt int, expires_at timestamptz, accepted_at timestamptz, bound_route text,
  sender text, size_bytes int, body_parts int, envelope_id text, ret text, eight_bit boolean, smtp_utf8 boolean, recipients jsonb,
  overdue boolean, last_tenant uuid, tenants int)
language plpgsql as $$
#variable_conflict use_column
declare t timestamptz := pm_now();
begin
  return query
  with recursive tenant (id, n) as (
    (select q.subaccount_id, 1 from queue q where q.subaccount_id > p_cursor order by 1 limit 1)
    union all
    select (select q.subaccount_id from queue q where q.subaccount_id > tenant.id order by 1 limit 1), tenant.n + 1
      from tenant where tenant.id is not null and tenant.n < p_tenants
  ), walk as materialized (
    select w.id, w.n, is_held(w.id) as held from tenant w
     where w.id is not null and exists (select from queue q where q.subaccount_id = w.id and q.due_at <= t)
  ), due as materialized (
    select x.message_id, w.n, w.held from walk w, lateral (
      select q.message_id from queue q where q.subaccount_id = w.id and q.due_at <= case when w.held then return_at() else t end
       order by q.due_at, q.message_id limit p_per_tenant for update skip locked) x
     limit p_limit
  ), taken as (
    update queue q set due_at = t + p_lease, owner = p_owner, attempt = q.attempt + 1
      from due where q.message_id = due.message_id
    returning q.message_id, q.attempt, q.expires_at, q.route, due.n, due.held
  ), task as (
    select k.attempt, k.expires_at, k.route, k.n, k.held, m.*, r.recipients
      from taken k join message m on m.id = k.message_id,
           lateral (select jsonb_agg(jsonb_build_object('n', r.n, 'address', r.address, 'originalRecipient', r.original_recipient,
                           'notify', r.notify) order by r.n) as recipients
                      from recipient r where r.message_id = k.message_id and r.state in ('queued', 'deferred')) r
  )
  select task.id, task.subaccount_id, task.master_id, task.kind, task.attempt, task.expires_at, task.accepted_at, task.route,
         task.sender, task.size_bytes, task.body_parts, task.envelope_id, task.ret, task.eight_bit, task.smtp_utf8, task.recipients,
         task.held, walked.id, walked.n
    from (select 1) one
    left join (select w.id, w.n from tenant w where w.id is not null order by w.n desc limit 1) walked on true
    left join task on true
   order by task.n, task.id;
end $$;
alter function claim_batch set plan_cache_mode = force_generic_plan;
alter function claim_batch set enable_hashjoin = off;
alter function claim_batch set enable_mergejoin = off;
alter function claim_batch set enable_seqscan = off;
