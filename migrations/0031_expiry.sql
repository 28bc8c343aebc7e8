-- End dates that come near: a notice is written once for each date and number of days, in the transaction that sends its mail.
create table expiry_notice (
  subaccount_id uuid not null,
  expires_at timestamptz not null,     -- another date has notices of its own
  days smallint not null,              -- before it
  told_at timestamptz not null,
  primary key (subaccount_id, expires_at, days)
);
create index subaccount_by_expiry on subaccount (expires_at) where expires_at is not null;
