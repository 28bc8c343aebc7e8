-- Who made a correction, beside the note that says why: in the ledger, since the audit log may be kept shorter. Null for what mail charges,
-- and for corrections of versions before this.
alter table usage_entry add column actor_kind text, add column actor_id text;
