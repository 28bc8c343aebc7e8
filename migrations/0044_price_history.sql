-- What ruled when is written down as it comes to rule, and never worked out afterwards. Terms follow from what was chosen by a
-- deferred trigger, at commit, on the server, as usage rows follow their accounts (0005): no caller can forget them.

-- The card and the discount that an account was given, and those that take over with the period that starts then.
create table price_choice (
  account_id uuid primary key,         -- a subaccount, or a master: what the operator asks of it
  master_id uuid not null references master (id),
  rate_card_id uuid references rate_card (id),
  n int,
  discount_bp int not null default 0 check (discount_bp between 0 and 10000),
  next_rate_card_id uuid references rate_card (id),
  next_n int,
  next_discount_bp int check (next_discount_bp between 0 and 10000),
  next_at timestamptz,
  updated_at timestamptz not null,
  version bigint not null default 1,
  check ((rate_card_id is null) = (n is null) and (next_rate_card_id is null) = (next_n is null)
         and (next_at is null) = (next_discount_bp is null))
);
create index price_choice_with_card on price_choice (rate_card_id) where rate_card_id is not null;
create index price_choice_with_next_card on price_choice (next_rate_card_id) where next_rate_card_id is not null;

-- From `since` on. What is written later rules from its own instant on in place of all that was written for that instant and later, so of
-- those that have begun the one that was written last is in force, and an account's terms follow one another without gap and overlap.
-- No terms of a subaccount: its master's default, which has terms of its own; no terms of a master or of a default: no price.
create table price_term (
  seq bigint primary key generated always as identity,
  account_id uuid not null,
  role text not null check (role in ('own', 'default')),   -- default: what a master's subaccounts have that have nothing else
  master_id uuid not null,
  since timestamptz not null check (date_trunc('second', since) = since),
  source text not null check (source in ('card', 'plan', 'default', 'none')),
  of_id uuid,                          -- the card or the plan
  n int,                               -- its version
  discount_bp int not null check (discount_bp between 0 and 10000),
  terms jsonb,                         -- as they were then; null of a default and of none
  written_at timestamptz not null,
  check ((source in ('card', 'plan')) = (terms is not null) and (of_id is null) = (terms is null) and (n is null) = (terms is null))
);
create index price_term_by_account on price_term (account_id, role, seq);
create index price_term_by_master on price_term (master_id, account_id, seq);
create trigger price_term_stays before update or delete or truncate on price_term
  for each statement execute function refuse_change();

-- Until the transaction ends no terms of this master and its subaccounts are written elsewhere. Who closes a period takes it
-- once after the end: what was written before has been committed, and what comes later begins later.
create function lock_prices(p_master uuid) returns void language sql as
  $$ select pg_advisory_xact_lock(hashtextextended('price ' || p_master::text, 0)) $$;

create function card_terms(p_card uuid, p_n int) returns jsonb language sql stable as $$
  select jsonb_build_object('currency', c.currency, 'price_minor', v.price_minor, 'cycle', v.cycle, 'included_units', v.included_units,
                            'overage_per_1000', v.overage_per_1000, 'ceiling_minor', v.ceiling_minor)
    from rate_card c join rate_card_version v on v.rate_card_id = c.id and v.n = p_n where c.id = p_card $$;

-- A plan's price includes all that its limit allows. Null: it has none, or there is no such plan.
create function plan_price(p_plan uuid, p_n int) returns jsonb language sql stable as $$
  select jsonb_build_object('currency', v.currency, 'price_minor', v.price_minor, 'cycle', case v.cycle when 'yearly' then 'year' else 'month' end,
                            'included_units', null, 'overage_per_1000', '0', 'ceiling_minor', null)
    from plan_version v where v.plan_id = p_plan and v.n = p_n and v.price_minor is not null $$;

-- What is to rule at that instant, as things stand. Its own card, else its plan's price, else the default; nothing once it is closed.
create function wanted_price(p_account uuid, p_role text, p_at timestamptz,
  out master_id uuid, out source text, out of_id uuid, out n int, out discount_bp int, out terms jsonb) returns setof record
language plpgsql stable as $$
#variable_conflict use_column
begin
  if p_role = 'default' then
    return query select p_account, case when c.id is null then 'none' else 'card' end, c.id, c.default_n, 0, card_terms(c.id, c.default_n)
      from (select 1) one left join rate_card c on c.master_id = p_account and c.default_n is not null;
    return;
  end if;
  return query
  with chosen as (
    select case when next_at <= p_at then next_rate_card_id else rate_card_id end as card,
           case when next_at <= p_at then next_n else n end as n,
           case when next_at <= p_at then next_discount_bp else discount_bp end as discount
      from price_choice where account_id = p_account),
  account as (
    select s.master_id, s.state in ('closed', 'archived') or s.sandbox or s.id = m.own_subaccount_id as free, 'default' as otherwise,
           case when s.next_plan_at <= p_at then s.next_plan_id else s.plan_id end as plan,
           case when s.next_plan_at <= p_at then s.next_plan_version else s.plan_version end as plan_n
      from subaccount s join master m on m.id = s.master_id where s.id = p_account
    union all
    select id, state = 'closed', 'none', null, null from master where id = p_account)
  select a.master_id, f.source,
         case f.source when 'card' then c.card when 'plan' then a.plan end, case f.source when 'card' then c.n when 'plan' then a.plan_n end,
         case f.source when 'none' then 0 else coalesce(c.discount, 0) end,
         case f.source when 'card' then card_terms(c.card, c.n) when 'plan' then p.terms end
    from account a left join chosen c on true, lateral (select plan_price(a.plan, a.plan_n) as terms) p,
         lateral (select case when a.free then 'none' when c.card is not null then 'card'
                              when p.terms is not null then 'plan' else a.otherwise end as source) f;
end $$;

-- Writes the terms that differ from those that are written, now and at each instant for which something is planned.
create function sync_price(p_account uuid, p_role text) returns void language plpgsql as $$
declare w record; p_master uuid; now_at timestamptz; at_instant timestamptz;
begin
  p_master := case when p_role = 'own' then coalesce((select s.master_id from subaccount s where s.id = p_account), p_account) else p_account end;
  perform lock_prices(p_master);
  now_at := date_trunc('second', pm_now());
  for at_instant in
    select distinct t.planned from (
      select now_at as planned
      union all select since from price_term where account_id = p_account and role = p_role
      union all select next_at from price_choice where account_id = p_account and p_role = 'own'
      union all select next_plan_at from subaccount where id = p_account and p_role = 'own') t
     where t.planned >= now_at order by 1
  loop
    select * into w from wanted_price(p_account, p_role, at_instant);
    insert into price_term (account_id, role, master_id, since, source, of_id, n, discount_bp, terms, written_at)
    select p_account, p_role, p_master, at_instant, w.source, w.of_id, w.n, w.discount_bp, w.terms, pm_now()
      from (select 1) one left join lateral (
             select * from price_term where account_id = p_account and role = p_role and since <= at_instant order by seq desc limit 1) t on true
     where w.master_id is not null and (w.source, w.of_id, w.n, w.discount_bp, w.terms) is distinct from
           (coalesce(t.source, case when p_role = 'own' and p_master <> p_account then 'default' else 'none' end),
            t.of_id, t.n, coalesce(t.discount_bp, 0), t.terms);
  end loop;
end $$;

create function sync_price_of_account() returns trigger language plpgsql as $$
begin perform sync_price(new.id, 'own'); return null; end $$;
create function sync_price_of_choice() returns trigger language plpgsql as $$
begin perform sync_price(new.account_id, 'own'); return null; end $$;
create function sync_price_of_default() returns trigger language plpgsql as $$
begin perform sync_price(new.master_id, 'default'); return null; end $$;

create constraint trigger choice_syncs_price after insert or update on price_choice deferrable initially deferred
  for each row execute function sync_price_of_choice();
create constraint trigger default_syncs_price after insert or update on rate_card deferrable initially deferred
  for each row when (new.master_id is not null) execute function sync_price_of_default();
create constraint trigger plan_syncs_price after update on subaccount deferrable initially deferred
  for each row when ((old.plan_id, old.plan_version, old.next_plan_id, old.next_plan_version, old.next_plan_at, old.state in ('closed', 'archived'))
                     is distinct from
                     (new.plan_id, new.plan_version, new.next_plan_id, new.next_plan_version, new.next_plan_at, new.state in ('closed', 'archived')))
  execute function sync_price_of_account();
create constraint trigger new_plan_syncs_price after insert on subaccount deferrable initially deferred
  for each row when (new.plan_version is not null or new.state in ('closed', 'archived')) execute function sync_price_of_account();
create constraint trigger master_syncs_price after update on master deferrable initially deferred
  for each row when (old.state is distinct from new.state) execute function sync_price_of_account();

-- From now on for those that are there: what they paid before is nobody's to say. Set by set, while the triggers' creation keeps
-- changes of accounts away.
insert into price_term (account_id, role, master_id, since, source, of_id, n, discount_bp, terms, written_at)
select s.id, 'own', s.master_id, t.since, w.source, case w.source when 'plan' then s.plan_id end, case w.source when 'plan' then s.plan_version end,
       0, case w.source when 'plan' then plan_price(s.plan_id, s.plan_version) end, t.since
  from (select date_trunc('second', pm_now()) as since) t, subaccount s join master m on m.id = s.master_id
  left join plan_version v on v.plan_id = s.plan_id and v.n = s.plan_version,
       lateral (select case when s.state in ('closed', 'archived') or s.sandbox or s.id = m.own_subaccount_id then 'none' else 'plan' end as source) w
 where case w.source when 'none' then s.state in ('closed', 'archived') else v.price_minor is not null end
 order by s.id;
select sync_price(id, 'own') from subaccount where next_plan_at is not null order by id;
