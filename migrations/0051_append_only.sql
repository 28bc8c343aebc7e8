-- What a bill is made of is written once: the ledger and the journal of credits, and what was closed over them. Whoever wants to change
-- a row must take the guard out first, and then `ledger verify` still finds what he did.

create trigger stays before update or delete on usage_entry for each row execute function refuse_change();
create trigger stays_whole before truncate on usage_entry execute function refuse_change();

do $$
declare name text;
begin
  foreach name in array array['credit_entry', 'statement', 'statement_line', 'statement_profile', 'statement_amount'] loop
    execute format('create trigger stays before update or delete or truncate on %I for each statement execute function refuse_change()', name);
  end loop;
end $$;

-- As 0016. Row triggers come to a partition with its table; one against truncate does not.
create or replace function set_up_partition(parent text, part regclass) returns void language plpgsql as $$
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
  elsif parent = 'usage_entry' then
    execute format('create trigger stays_whole before truncate on %s execute function refuse_change()', part);
  end if;
end $$;

do $$ begin
  perform set_up_partition('usage_entry', i.inhrelid::regclass) from pg_inherits i where i.inhparent = 'usage_entry'::regclass;
end $$;
