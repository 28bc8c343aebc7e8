-- Tables that grow with the mail are partitioned by range of their UUIDv7 key: an old day goes as one DROP.

-- The smallest UUIDv7 of an instant.
create function uuid_at(t timestamptz) returns uuid language sql immutable as
  $$ select (lpad(to_hex((extract(epoch from t) * 1000)::bigint), 12, '0') || repeat('0', 20))::uuid $$;

-- A UUIDv7 of an instant, for rows that the database itself writes.
create function new_event_id(t timestamptz) returns uuid language sql volatile as
  $$ select (substr(uuid_at(t)::text, 1, 14) || '7' || substr(gen_random_uuid()::text, 16))::uuid $$;

-- Makes the partitions of the UTC days [from_day, from_day + days) that are missing. Returns how many were made.
create function ensure_partitions(from_day date, days int) returns int language plpgsql as $$
declare parent text; part text; d date; made int := 0;
begin
  perform pg_advisory_xact_lock(7221100003);   -- several nodes may do this at the same moment
  foreach parent in array array['message', 'body', 'recipient', 'usage_entry', 'event'] loop
    for d in select from_day + i from generate_series(0, days - 1) i loop
      part := parent || '_' || to_char(d, 'YYYYMMDD');
      if to_regclass(part) is null then
        execute format('create table %I (like %I including all)', part, parent);
        if parent = 'body' then
          execute format('alter table %I alter column bytes set storage external', part);
          execute format('alter table %I set (toast_tuple_target = 8160)', part);   -- up to 8 KB in the row itself: a third cheaper than TOAST
        elsif parent = 'recipient' then
          execute format('alter table %I set (fillfactor = 60)', part);
        end if;
        execute format('alter table %I attach partition %I for values from (%L) to (%L)', parent, part,
                       uuid_at(d::timestamp at time zone 'UTC'), uuid_at((d + 1)::timestamp at time zone 'UTC'));
        made := made + 1;
      end if;
    end loop;
  end loop;
  return made;
end $$;
