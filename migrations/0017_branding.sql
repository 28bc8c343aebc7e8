-- How an account shows itself to its people: in pages, mails and refusals. A subaccount's row overrides its master's, member by member.
create table brand (
  account_id uuid primary key,         -- a master's or a subaccount's
  master_id uuid not null references master (id),
  product_name text,
  support_address text,
  colour text,                         -- #rrggbb
  footer text,
  sender_address text,                 -- From of system mails; used while its domain is proven by the master
  logo bytea,
  logo_type text check (logo_type in ('image/png', 'image/jpeg', 'image/webp')),
  host text unique,                    -- of portal and SMTP banner; used while its domain is proven by the master
  certificate text,                    -- PEM, for SMTP by SNI
  certificate_key bytea,               -- encrypted by POSTMETER_SECRET
  updated_at timestamptz not null,
  version bigint not null default 1
);
create index brand_by_master on brand (master_id);

create function tell_brand() returns trigger language plpgsql as $$
begin perform pg_notify('postmeter_account', 'master:' || new.master_id); return null; end $$;
create trigger brand_tells after insert or update of host, certificate on brand for each row execute function tell_brand();

-- How people of an account are spoken to, where they have not chosen for themselves. A subaccount has had its own from the start.
alter table master add column language text;
