-- When a secret's value stops being given out, and when something is to be told of that next; Unix seconds, NULL for never.
ALTER TABLE secret ADD COLUMN expires_at INTEGER;
ALTER TABLE secret ADD COLUMN expiry_due INTEGER;
ALTER TABLE deleted_secret ADD COLUMN expires_at INTEGER;
ALTER TABLE deleted_secret ADD COLUMN expiry_due INTEGER;
-- What the sweeper looks at: the secrets of which something is to be told.
CREATE INDEX secret_expiry ON secret (account, expiry_due, id) WHERE expiry_due IS NOT NULL;

-- First answers, which are kept for a day. `mark` and `request` are keyed hashes, of whose request it is and of what was asked;
-- `object` is what was made, as its audit event tells it. The token of a new API key is sealed under a key of its own.
CREATE TABLE answer (
    account     INTEGER NOT NULL,
    mark        BLOB NOT NULL,
    request     BLOB NOT NULL,
    at          INTEGER NOT NULL,
    object      TEXT NOT NULL,
    wrapped_key BLOB,
    token       BLOB,
    PRIMARY KEY (account, mark)
) STRICT, WITHOUT ROWID;
CREATE INDEX answer_at ON answer (account, at);
