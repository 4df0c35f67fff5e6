-- What a key may do (one grant a line, such as `resolve prod:*`), and when it stops working (Unix seconds).
ALTER TABLE api_key ADD COLUMN grants TEXT;
ALTER TABLE api_key ADD COLUMN expires_at INTEGER;

-- The last time that a secret's value was given out, and to which key.
CREATE TABLE resolved (
    account INTEGER NOT NULL,
    secret  BLOB NOT NULL,
    at      INTEGER NOT NULL,
    api_key BLOB NOT NULL,
    PRIMARY KEY (account, secret)
) STRICT, WITHOUT ROWID;

-- Up to which audit event that table is up to date. What follows it is taken from the log when the store is opened.
ALTER TABLE audit_head ADD COLUMN resolved_upto INTEGER NOT NULL DEFAULT 0;
UPDATE audit_head SET resolved_upto = sequence;
