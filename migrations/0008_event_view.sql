-- Everything that happened, in one order: what was written as an event, and what other rows already say. Each branch
-- has an index that ends in its id, for each way to narrow it: a page reads no more than it shows.

create index event_by_message on event (message_id, id) where message_id is not null;
create unique index refusal_by_id on refusal (id);
create index refusal_by_subaccount on refusal (subaccount_id, id);

create view account_event as
  select id, type, master_id, subaccount_id, message_id, at, data from event
  union all
  select id, 'message.accepted', master_id, subaccount_id, id, accepted_at,
         jsonb_build_object('from', sender, 'units', units, 'size_bytes', size_bytes, 'subject', subject)
    from message where kind = 'submitted'
  union all
  select id, case when reason in ('quota-subaccount', 'quota-master') then 'quota.refused' else 'message.refused' end,
         master_id, subaccount_id, null::uuid, minute,
         jsonb_build_object('reason', reason, 'messages', messages, 'units', units, 'sample', sample)
    from refusal;

-- Corrections are rare among millions of entries.
create index usage_entry_corrections on usage_entry (master_id, period_start, subaccount_id) where kind = 'correction';
create index usage_entry_corrected on usage_entry (corrects) where kind = 'correction';
