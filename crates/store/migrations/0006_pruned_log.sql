-- Up to which event the log is pruned: the rows of audit up to it are gone, their hashes in audit_tree stay.
ALTER TABLE audit_head ADD COLUMN pruned_upto INTEGER NOT NULL DEFAULT 0;
