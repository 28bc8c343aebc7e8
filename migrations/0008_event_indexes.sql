-- What events/list.ts reads: events, and what messages and refusals say by themselves, each in the order of its ids for
-- each way to narrow it, so that a page reads about as many rows as it shows.

create index event_by_message on event (message_id, id) where message_id is not null;
-- Without the deliveries, which are nearly all, a rare type is found among few.
create index event_by_master_and_type on event (master_id, type, id) where type <> 'message.delivered';
create index event_by_subaccount_and_type on event (subaccount_id, type, id) where type <> 'message.delivered';
create unique index refusal_by_id on refusal (id);
create index refusal_by_subaccount on refusal (subaccount_id, id);

-- Corrections are rare among millions of entries.
create index usage_entry_corrections on usage_entry (master_id, period_start, subaccount_id) where kind = 'correction';
create index usage_entry_corrected on usage_entry (corrects) where kind = 'correction';
