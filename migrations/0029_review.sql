-- An operator's query on how a subaccount sends. Its hold is its own: a queue may be held for several causes at once, and each is
-- lifted by what made it. The version before writes and takes away those of the operator.
alter table hold add column cause text not null default 'operator';
alter table hold drop constraint hold_pkey, add primary key (subaccount_id, cause);

create table review (
  id uuid primary key,
  master_id uuid not null references master (id),
  subaccount_id uuid not null references subaccount (id),
  question text not null,
  hold boolean not null,
  told text not null check (told in ('subaccount', 'master', 'both')), -- by the contact policy when it was opened
  state text not null default 'open' check (state in ('open', 'answered', 'closed')),
  answer text,
  answered_by text,                    -- the TypeID of the account that answered
  answered_at timestamptz,
  decision text check (decision in ('release', 'suspend')),
  note text,                           -- of the operator, with the decision
  opened_at timestamptz not null,
  closed_at timestamptz,
  opening_mailed_at timestamptz,
  closing_mailed_at timestamptz,
  version bigint not null default 1
);
-- One at a time.
create unique index review_open on review (subaccount_id) where state <> 'closed';
create index review_by_master on review (master_id, id);
