-- Who logs in: people, their places in accounts, their sessions, and links that can be used once.

create table person (
  id uuid primary key,
  email text not null,                  -- as he writes it
  name text,
  password_hash text,                   -- argon2id in PHC form; null: none is set yet
  password_temporary boolean not null default false,   -- to be changed at the next log-in
  totp_secret bytea,                    -- encrypted by POSTMETER_SECRET
  totp_confirmed_at timestamptz,        -- null: enrolment is not finished, and nothing is asked
  totp_step bigint,                     -- the last step of 30 s whose code was taken: no code works twice
  recovery_hashes bytea[] not null default '{}',
  language text,
  time_zone text,
  created_at timestamptz not null,
  updated_at timestamptz not null
);
create unique index person_by_email on person (lower(email));

-- A place in an account. Both ids null: the operator's.
create table member (
  id uuid primary key,
  person_id uuid not null references person (id),
  master_id uuid references master (id),
  subaccount_id uuid references subaccount (id),
  role text not null check (role in ('owner', 'admin', 'developer', 'billing', 'viewer')),
  invited_at timestamptz not null,
  accepted_at timestamptz,              -- null: invited, and opens nothing yet
  removed_at timestamptz,
  check (master_id is null or subaccount_id is null)     -- a subaccount's master is the subaccount's to say
);
create unique index member_once on member (person_id, coalesce(subaccount_id, master_id)) nulls not distinct where removed_at is null;
create index member_by_master on member (master_id, id);
create index member_by_subaccount on member (subaccount_id, id);

-- Links with a secret of 160 bits that work once. Of a link's data nothing is secret but what it opens.
create table link (
  id uuid primary key,
  purpose text not null check (purpose in ('invite', 'reset', 'log_in_as', 'raise', 'transfer')),
  token_hash bytea not null unique,
  master_id uuid,
  subaccount_id uuid,
  person_id uuid references person (id),
  member_id uuid references member (id),
  data jsonb not null default '{}',
  created_at timestamptz not null,
  expires_at timestamptz not null,
  used_at timestamptz,
  voided_at timestamptz
);
create index link_by_age on link (expires_at);
create index link_by_member on link (member_id) where used_at is null and voided_at is null;
create index link_by_subaccount on link (subaccount_id) where used_at is null and voided_at is null;

create table session (
  id uuid primary key,
  token_hash bytea not null unique,
  person_id uuid references person (id),         -- null: somebody acts for the account ("log in as")
  member_id uuid references member (id),
  master_id uuid,
  subaccount_id uuid,
  acting jsonb,                                   -- who acts, why, and whether he may only read
  network text,
  user_agent text,
  created_at timestamptz not null,
  seen_at timestamptz not null,
  expires_at timestamptz not null,                -- the absolute end
  ended_at timestamptz
);
create index session_by_person on session (person_id) where ended_at is null;
create index session_by_subaccount on session (subaccount_id) where ended_at is null;
create index session_by_age on session (expires_at);

alter table master add column enforce_2fa boolean not null default false;
alter table subaccount add column enforce_2fa boolean not null default false;

-- What a closed account had open ends with the close, whoever closes it, in that transaction: links, sessions, people acting for it.
create function close_doors() returns trigger language plpgsql as $$
begin
  update session set ended_at = pm_now() where ended_at is null and case when tg_argv[0] = 'subaccount' then subaccount_id = new.id else master_id = new.id end;
  update link set voided_at = pm_now() where used_at is null and voided_at is null
     and case when tg_argv[0] = 'subaccount' then subaccount_id = new.id else master_id = new.id end;
  return null;
end $$;
create trigger subaccount_closes_doors after update of state on subaccount for each row
  when (new.state in ('closed', 'archived') and old.state is distinct from new.state) execute function close_doors('subaccount');
create trigger master_closes_doors after update of state on master for each row
  when (new.state = 'closed' and old.state is distinct from new.state) execute function close_doors('master');

-- Keys: where from they may be used, what replaces them, and until when they work.
alter table api_key
  add column networks text[] not null default '{}',       -- CIDR; empty: from anywhere
  add column expires_at timestamptz,
  add column replaced_by uuid references api_key (id);
drop trigger key_tells on api_key;
create trigger key_tells after update on api_key for each row
  when ((old.key_hash, old.scopes, old.revoked_at, old.networks, old.expires_at)
        is distinct from (new.key_hash, new.scopes, new.revoked_at, new.networks, new.expires_at))
  execute function tell_change('key');

-- Whose log-in is locked, so that the master hears of it and can unlock. Null: no account of ours.
alter table lockout add column master_id uuid, add column subaccount_id uuid, add column name text, add column network text;
create index lockout_by_subaccount on lockout (subaccount_id) where subaccount_id is not null;

create function auth_failed(p_key bytea, p_master uuid, p_subaccount uuid, p_name text, p_network text) returns timestamptz language plpgsql as $$
declare v_before timestamptz; v_until timestamptz;
begin
  select locked_until into v_before from lockout where key = p_key and expires_at > pm_now();
  v_until := auth_failed(p_key);
  if p_master is not null then
    update lockout set master_id = p_master, subaccount_id = p_subaccount, name = p_name, network = p_network where key = p_key;
    if v_until is not null and v_before is null then
      perform graphile_worker.add_job('locked_out', json_build_object('master_id', p_master, 'subaccount_id', p_subaccount,
        'name', p_name, 'network', p_network, 'until', v_until));
    end if;
  end if;
  return v_until;
end $$;
