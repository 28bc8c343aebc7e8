-- Billing profiles of a master. A subaccount says by name to which it belongs
-- (subaccount.billing_profile), so a profile's name stays what it is; a name behind which no profile stands is a label.
create table billing_profile (
  id uuid primary key,
  master_id uuid not null references master (id),
  name text not null,
  currency text not null,
  cost_centre text,
  address text,
  is_default boolean not null,         -- of all subaccounts that name none
  created_at timestamptz not null,
  updated_at timestamptz not null,
  version bigint not null default 1,
  unique (master_id, name)
);
create unique index billing_profile_default on billing_profile (master_id) where is_default;

-- Who names a profile keeps it until he commits: whoever removes one waits for that, and then sees that it is used.
create function keep_billing_profile() returns trigger language plpgsql as $$
begin
  perform 1 from billing_profile p where p.master_id = new.master_id and p.name = new.billing_profile for key share;
  return null;
end $$;
create trigger keep_billing_profile after insert or update of billing_profile on subaccount
  for each row when (new.billing_profile is not null) execute function keep_billing_profile();
create index subaccount_with_billing_profile on subaccount (master_id, billing_profile) where billing_profile is not null;
