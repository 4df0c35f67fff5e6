-- When a secret's value stops being given out, and when something is to be told of that next; Unix seconds, NULL for never.
ALTER TABLE secret ADD COLUMN expires_at INTEGER;
ALTER TABLE secret ADD COLUMN expiry_due INTEGER;
ALTER TABLE deleted_secret ADD COLUMN expires_at INTEGER;
ALTER TABLE deleted_secret ADD COLUMN expiry_due INTEGER;
-- What the sweeper looks at: the secrets of which something is to be told.
CREATE INDEX secret_expiry ON secret (account, expiry_due, id) WHERE expiry_due IS NOT NULL;
