-- More of what a subaccount is known by, and who hears of what.
alter table subaccount add column accepted_terms_at timestamptz;
alter table subaccount add column billing_profile text;

-- By topic subaccount, master or both; a topic that is missing follows the program's default.
alter table master add column contact_policy jsonb not null default '{}';

-- Each order of the list has its index, as in 0013. In the order of end dates none at all comes last.
create index subaccount_by_billing_profile on subaccount (master_id, lower(coalesce(billing_profile, '')), id);
create index subaccount_by_language on subaccount (master_id, lower(coalesce(language, '')), id);
create index subaccount_by_time_zone on subaccount (master_id, lower(coalesce(time_zone, '')), id);
create index subaccount_by_end on subaccount (master_id, coalesce(expires_at, 'infinity'), id);
create index subaccount_by_terms on subaccount (master_id, coalesce(accepted_terms_at, '-infinity'), id);
-- `metadata.key=value` asks for what holds that member.
create index subaccount_by_metadata on subaccount using gin (metadata jsonb_path_ops);
