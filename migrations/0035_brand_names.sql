-- Brands at the doors: which names count, who hears of a change, when a certificate ends.

-- May this account go by this name? As for senders (domains/allowed) the longest proved name above it decides, and it counts when
-- it is the master's own or that account's. Null for a name is false.
create function brand_name_proven(p_name text, p_master uuid, p_account uuid) returns boolean language sql stable as $$
  select coalesce((
    select d.master_id = p_master and (d.subaccount_id is null or d.subaccount_id = p_account)
      from sender_domain d
     where d.state = 'verified'
       and d.name = any (array(select array_to_string(l.labels[i:], '.')
                                 from (select string_to_array(p_name, '.') as labels) l, generate_subscripts(l.labels, 1) i))
     order by length(d.name) desc limit 1), false)
$$;

-- A host that nobody has proved reserves nothing, so it is unique within its master alone; a proved one has one prover.
alter table brand drop constraint brand_host_key;
drop index brand_by_master;
create unique index brand_by_master on brand (master_id, host);
create index brand_by_host on brand (host) where host is not null;

alter table brand add constraint brand_colour check (colour ~ '^#[0-9a-f]{6}$');
alter table brand add column certificate_ends_at timestamptz;  -- of the first certificate; null without one
alter table brand add column certificate_told int;             -- how many days before its end the last notice was for
create index brand_by_certificate on brand (certificate_ends_at) where certificate_ends_at is not null;

-- `host:<name>` for whoever keeps hosts in memory; the master's facts hold the support address, which stands in refusals.
create or replace function tell_brand() returns trigger language plpgsql as $$
declare v_old brand; v_new brand;
begin
  if tg_op <> 'INSERT' then v_old := old; end if;
  if tg_op <> 'DELETE' then v_new := new; end if;
  if (v_old.host, v_old.certificate) is distinct from (v_new.host, v_new.certificate) then
    perform pg_notify('postmeter_account', 'host:' || h) from unnest(array[v_old.host, v_new.host]) h where h is not null;
  end if;
  if v_old.support_address is distinct from v_new.support_address then
    perform pg_notify('postmeter_account', 'master:' || coalesce(v_new.master_id, v_old.master_id));
  end if;
  return null;
end $$;
drop trigger brand_tells on brand;
create trigger brand_tells after insert or update of host, certificate, support_address or delete on brand
  for each row execute function tell_brand();
