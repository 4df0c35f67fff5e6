-- `key_id` names the key in `wrapped_key` from the vault's first rotation on: no value is then written under another one.
-- `previous_key` is the key before, wrapped, while values are still under it. `keyed_at` is when the key was made; NULL is with
-- the vault. `generation` counts the rotations of data keys, and a version has that under which it was sealed.
ALTER TABLE vault ADD COLUMN key_id BLOB;
ALTER TABLE vault ADD COLUMN previous_key BLOB;
ALTER TABLE vault ADD COLUMN keyed_at INTEGER;
ALTER TABLE vault ADD COLUMN generation INTEGER NOT NULL DEFAULT 0;
ALTER TABLE deleted_vault ADD COLUMN key_id BLOB;
ALTER TABLE deleted_vault ADD COLUMN previous_key BLOB;
ALTER TABLE deleted_vault ADD COLUMN keyed_at INTEGER;
ALTER TABLE deleted_vault ADD COLUMN generation INTEGER NOT NULL DEFAULT 0;
ALTER TABLE version ADD COLUMN generation INTEGER NOT NULL DEFAULT 0;

-- The root key before, under which nothing is stored any more, and when the present one was made; NULL is with the account.
ALTER TABLE account ADD COLUMN retired_root_key BLOB;
ALTER TABLE account ADD COLUMN root_keyed_at INTEGER;

-- Rotations that are under way: of the vault's key (`vault`) or of its data keys (`data`).
CREATE TABLE rotation (
    account    INTEGER NOT NULL,
    vault      BLOB NOT NULL,
    kind       TEXT NOT NULL,
    started_at INTEGER NOT NULL,
    done       INTEGER NOT NULL,
    PRIMARY KEY (account, vault)
) STRICT, WITHOUT ROWID;
