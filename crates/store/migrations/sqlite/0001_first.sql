-- Ids are the 20 bytes of a KSUID, which sort by time; `account` is the number of a row in `account`.
-- A principal is one byte for its kind and the 20 bytes of its id. Times are Unix seconds.

CREATE TABLE account (
    number            INTEGER PRIMARY KEY,
    id                BLOB NOT NULL UNIQUE,
    name              TEXT NOT NULL,
    created_at        INTEGER NOT NULL,
    root_key          BLOB NOT NULL,
    wrapped_token_key BLOB NOT NULL,
    -- How much the account holds, kept up to date by the writer in the same commit as the change.
    vaults            INTEGER NOT NULL DEFAULT 0,
    secrets           INTEGER NOT NULL DEFAULT 0,
    api_keys          INTEGER NOT NULL DEFAULT 0
) STRICT;

CREATE TABLE user (
    account    INTEGER NOT NULL,
    id         BLOB NOT NULL,
    email      TEXT NOT NULL,
    role       TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    PRIMARY KEY (account, id)
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX user_email ON user (account, email);

CREATE TABLE service_user (
    account    INTEGER NOT NULL,
    id         BLOB NOT NULL,
    name       TEXT NOT NULL,
    active     INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    revision   INTEGER NOT NULL,
    PRIMARY KEY (account, id)
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX service_user_name ON service_user (account, name);

CREATE TABLE api_key (
    account     INTEGER NOT NULL,
    id          BLOB NOT NULL,
    owner       BLOB NOT NULL,
    description TEXT NOT NULL,
    metadata    TEXT NOT NULL,
    created_at  INTEGER NOT NULL,
    revision    INTEGER NOT NULL,
    hash        BLOB NOT NULL,
    PRIMARY KEY (account, id)
) STRICT, WITHOUT ROWID;
CREATE INDEX api_key_owner ON api_key (account, owner, id);

CREATE TABLE vault (
    account         INTEGER NOT NULL,
    id              BLOB NOT NULL,
    name            TEXT NOT NULL,
    description     TEXT NOT NULL,
    metadata        TEXT NOT NULL,
    created_at      INTEGER NOT NULL,
    created_by      BLOB NOT NULL,
    updated_at      INTEGER NOT NULL,
    last_updated_by BLOB NOT NULL,
    revision        INTEGER NOT NULL,
    wrapped_key     BLOB NOT NULL,
    PRIMARY KEY (account, id)
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX vault_name ON vault (account, name);

CREATE TABLE secret (
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
    PRIMARY KEY (account, id)
) STRICT, WITHOUT ROWID;
-- Unique within a vault, and by name over all vaults: one index serves both.
CREATE UNIQUE INDEX secret_name ON secret (account, name, vault);
CREATE INDEX secret_vault ON secret (account, vault, id);

-- The values: the only sealed ones there are.
CREATE TABLE version (
    account     INTEGER NOT NULL,
    secret      BLOB NOT NULL,
    number      INTEGER NOT NULL,
    created_at  INTEGER NOT NULL,
    wrapped_key BLOB NOT NULL,
    ciphertext  BLOB NOT NULL,
    PRIMARY KEY (account, secret, number)
) STRICT, WITHOUT ROWID;

CREATE TABLE audit (
    sequence  INTEGER PRIMARY KEY,
    hash      BLOB NOT NULL,
    canonical BLOB NOT NULL
) STRICT;

-- Where the audit log ends, so that a cut tail shows.
CREATE TABLE audit_head (
    id       INTEGER PRIMARY KEY CHECK (id = 1),
    sequence INTEGER NOT NULL,
    hash     BLOB NOT NULL
) STRICT;
INSERT INTO audit_head (id, sequence, hash) VALUES (1, 0, zeroblob(32));
