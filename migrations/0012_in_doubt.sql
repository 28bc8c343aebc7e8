-- A client's retry after a lost 250 is known again by what it sent: size and hash without the header that we add, whose
-- length is kept so that the hash can be told from the stored message once more.
alter table in_doubt add column added_bytes int not null default 0;
create index in_doubt_by_age on in_doubt (until);

-- Every process looks closer at messages of that subaccount and size from then on.
create function tell_doubt() returns trigger language plpgsql as $$
begin perform pg_notify('postmeter_account', 'doubt:' || new.subaccount_id || ':' || new.size_bytes); return null; end $$;
create trigger doubt_tells after insert on in_doubt for each row execute function tell_doubt();
