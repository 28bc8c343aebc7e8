-- What a day's partition is set to. They only grow, until they go as a whole (bodies an hour after delivery, in masses): a vacuum
-- because of inserts, and statistics of the bodies' bytes, cost two seconds of CPU a minute under load and serve nothing. The
-- ledger's days stay for good and keep the usual settings.
create function set_up_partition(parent text, part regclass) returns void language plpgsql as $$
begin
  if parent = 'body' then
    execute format('alter table %s alter column bytes set storage external', part);
    execute format('alter table %s alter column bytes set statistics 0', part);
    -- Up to 8 KB in the row itself: a third cheaper than TOAST. All look-ups go by the key, whatever the statistics say.
    execute format('alter table %s set (toast_tuple_target = 8160, autovacuum_vacuum_insert_threshold = -1,
                    toast.autovacuum_vacuum_insert_threshold = -1, autovacuum_analyze_scale_factor = 0,
                    autovacuum_analyze_threshold = 2147483647)', part);
  elsif parent = 'recipient' then
    -- A recipient's row grows threefold when its outcome comes: room for that on its page keeps the update off the index.
    execute format('alter table %s set (fillfactor = 25, autovacuum_vacuum_insert_threshold = -1)', part);
  elsif parent in ('message', 'event') then
    execute format('alter table %s set (autovacuum_vacuum_insert_threshold = -1)', part);
  end if;
end $$;

create or replace function ensure_partitions(from_day date, days int) returns int language plpgsql as $$
declare parent text; part text; d date; made int := 0;
begin
  perform pg_advisory_xact_lock(7221100003);   -- several nodes may do this at the same moment
  foreach parent in array array['message', 'body', 'recipient', 'usage_entry', 'event'] loop
    for d in select from_day + i from generate_series(0, days - 1) i loop
      part := parent || '_' || to_char(d, 'YYYYMMDD');
      if to_regclass(part) is null then
        execute format('create table %I (like %I including all)', part, parent);
        perform set_up_partition(parent, part::regclass);
        execute format('alter table %I attach partition %I for values from (%L) to (%L)', parent, part,
                       uuid_at(d::timestamp at time zone 'UTC'), uuid_at((d + 1)::timestamp at time zone 'UTC'));
        made := made + 1;
      end if;
    end loop;
  end loop;
  return made;
end $$;

do $$ begin
  perform set_up_partition(p.relname, i.inhrelid::regclass)
     from pg_inherits i join pg_class p on p.oid = i.inhparent
    where i.inhparent in ('message'::regclass, 'body'::regclass, 'recipient'::regclass, 'event'::regclass);
end $$;
