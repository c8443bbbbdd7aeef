-- 0008_owners.sql - what grows with all people's files is not read for one person's; whose account was erased is found.

-- The index of the list leaves out what is deleted, so neither the sum of a quota nor erasing an account may use it: each would
-- read everybody's files.
create index uploads_owner on uploads (user_id, id);

-- A turn that waits in the queue asks for it when its person is not there.
create index audit_log_erased on audit_log (target, at) where action = 'user.erased';
