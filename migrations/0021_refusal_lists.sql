-- The list of refusals for one reason, newest first: one that is rare is not looked for among the thousands of rows of another. Lists of
-- an account have their index already (0002, 0008).
create index refusal_by_reason on refusal (master_id, reason, id);
