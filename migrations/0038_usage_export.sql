-- In which order days became final. The turn is taken under a lock that is held until the commit (metering/sum-days.ts): whoever has
-- read up to one has missed none before it. A day that is summed again gets a new one.
create sequence summed_day_turn;
alter table summed_day add column turn bigint;
update summed_day s set turn = x.turn
  from (select entry_day, row_number() over (order by summed_at, entry_day) as turn from summed_day) x where x.entry_day = s.entry_day;
select setval('summed_day_turn', greatest((select count(*) from summed_day), 1));
alter table summed_day alter column turn set not null, alter column turn set default nextval('summed_day_turn');
create unique index summed_day_by_turn on summed_day (turn);
