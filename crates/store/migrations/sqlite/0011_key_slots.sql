-- The ways to the root key. `psk` is wrapped by the root key, `message` is the root key sealed to the slot; `opener` is how the
-- slot's own key is got, without any secret in clear.
CREATE TABLE key_slot (
    account    INTEGER NOT NULL,
    id         BLOB NOT NULL,
    name       TEXT NOT NULL,
    kind       TEXT NOT NULL,
    opener     TEXT NOT NULL,
    public_key BLOB NOT NULL,
    psk        BLOB NOT NULL,
    message    BLOB NOT NULL,
    created_at INTEGER NOT NULL,
    created_by BLOB NOT NULL,
    PRIMARY KEY (account, id)
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX key_slot_name ON key_slot (account, name);
