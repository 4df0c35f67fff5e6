-- The audit log's tree, in place of its chain. A row is a full block: sixteen hashes of one level, side by side. Its id is
-- the block's number in the level, less 2^48 for each level above the lowest: so the lowest level, which has nearly all the
-- rows, is the one that grows at the end of the table.
CREATE TABLE audit_tree (
    id     INTEGER PRIMARY KEY,
    hashes BLOB NOT NULL
) STRICT;

-- The hashes that are in no full block yet, those of the lowest level first.
ALTER TABLE audit_head ADD COLUMN edge BLOB NOT NULL DEFAULT x'';

-- The key that signs the audit log's checkpoints, wrapped by the root key.
CREATE TABLE log_key (
    account     INTEGER PRIMARY KEY,
    wrapped_key BLOB NOT NULL
) STRICT;

-- The rest of this migration computes the tree of the records that there are: sqlite/log_tree.rs. There `audit.hash`, the
-- chain, goes away, and `audit_head.hash` becomes `root`.
