-- Accounts that leave their master: for another one, or to be a master themselves.
--
-- What moves becomes a new subaccount under the new payer, which starts at zero. The old row stays with the old master, put away
-- for good, and with it usage, ledger, statements, messages and audit: no row of the past changes its owner, and what is in the
-- middle of being accepted meets a usage row that has closed.
alter table subaccount add column moved_to uuid;     -- the subaccount that it has become; it is never opened again
alter table subaccount add column moved_from uuid;

create table transfer (
  id uuid primary key,
  kind text not null check (kind in ('move', 'standalone', 'renewal')),
  subaccount_id uuid not null references subaccount (id),
  from_master_id uuid not null references master (id),
  to_master_id uuid references master (id),          -- null: whoever brings the token, or one that is yet to be made
  state text not null check (state in ('offered', 'accepted', 'done', 'withdrawn', 'declined', 'expired')),
  offered_by text not null check (offered_by in ('master', 'subaccount')),
  token_hash bytea unique,                           -- null: used, or none was given
  moved_to uuid,
  created_at timestamptz not null,
  expires_at timestamptz not null,
  settled_at timestamptz
);
create unique index transfer_open on transfer (subaccount_id) where state in ('offered', 'accepted');
create index transfer_by_giver on transfer (from_master_id, id);
create index transfer_by_taker on transfer (to_master_id, id);
create index transfer_by_subaccount on transfer (subaccount_id, id);

-- Whoever has a credential or key in memory hears that it belongs to another account now.
create trigger credential_moves after update on credential for each row
  when (old.subaccount_id is distinct from new.subaccount_id) execute function tell_change('credential');
create trigger key_moves after update on api_key for each row
  when (old.master_id is distinct from new.master_id) execute function tell_change('key');
