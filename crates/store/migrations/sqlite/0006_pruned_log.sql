-- Up to which event the log is pruned: the rows of audit up to it are gone, their hashes in audit_tree stay.
ALTER TABLE audit_head ADD COLUMN pruned_upto INTEGER NOT NULL DEFAULT 0;
-- The event that tells so.
ALTER TABLE audit_head ADD COLUMN pruned_by INTEGER NOT NULL DEFAULT 0;

-- How many keys for checkpoints were made: more than there are means that one was lost.
ALTER TABLE audit_head ADD COLUMN log_keys_made INTEGER NOT NULL DEFAULT 0;
UPDATE audit_head SET log_keys_made = (SELECT count(*) FROM log_key);
