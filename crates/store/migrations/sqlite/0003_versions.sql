-- Who wrote a value (unknown of those that were written before), and since when another one has been in its place.
ALTER TABLE version ADD COLUMN created_by BLOB;
ALTER TABLE version ADD COLUMN replaced_at INTEGER;
-- What the sweeper walks: the values that are not current.
CREATE INDEX version_replaced ON version (account, replaced_at, secret, number) WHERE replaced_at IS NOT NULL;

-- How many values of a secret a vault keeps, and for how many seconds after they were replaced; NULL is the server's setting.
ALTER TABLE vault ADD COLUMN keep_versions INTEGER;
ALTER TABLE vault ADD COLUMN keep_versions_for INTEGER;

-- What was deleted, for as long as it can be brought back. The versions of such a secret stay where they are: a version is
-- read only while its secret is in its own table.
CREATE TABLE deleted_vault (
    account           INTEGER NOT NULL,
    id                BLOB NOT NULL,
    name              TEXT NOT NULL,
    description       TEXT NOT NULL,
    metadata          TEXT NOT NULL,
    created_at        INTEGER NOT NULL,
    created_by        BLOB NOT NULL,
    updated_at        INTEGER NOT NULL,
    last_updated_by   BLOB NOT NULL,
    revision          INTEGER NOT NULL,
    wrapped_key       BLOB NOT NULL,
    keep_versions     INTEGER,
    keep_versions_for INTEGER,
    deleted_at        INTEGER NOT NULL,
    deleted_by        BLOB NOT NULL,
    PRIMARY KEY (account, id)
) STRICT, WITHOUT ROWID;
CREATE INDEX deleted_vault_at ON deleted_vault (account, deleted_at, id);

CREATE TABLE deleted_secret (
    account         INTEGER NOT NULL,
    id              BLOB NOT NULL,
    vault           BLOB NOT NULL,
    name            TEXT NOT NULL,
    description     TEXT NOT NULL,
    metadata        TEXT NOT NULL,
    created_at      INTEGER NOT NULL,
    created_by      BLOB NOT NULL,
    updated_at      INTEGER NOT NULL,
    last_updated_by BLOB NOT NULL,
    revision        INTEGER NOT NULL,
    version         INTEGER NOT NULL,
    deleted_at      INTEGER NOT NULL,
    deleted_by      BLOB NOT NULL,
    PRIMARY KEY (account, id)
) STRICT, WITHOUT ROWID;
CREATE INDEX deleted_secret_at ON deleted_secret (account, deleted_at, id);
CREATE INDEX deleted_secret_vault ON deleted_secret (account, vault, id);
