-- Who wrote a value (unknown of those that were written before), and since when another one has been in its place.
ALTER TABLE version ADD COLUMN created_by BLOB;
ALTER TABLE version ADD COLUMN replaced_at INTEGER;
-- What the sweeper walks: the values that are not current.
CREATE INDEX version_replaced ON version (account, replaced_at, secret, number) WHERE replaced_at IS NOT NULL;

-- How many values of a secret a vault keeps, and for how many seconds after they were replaced; NULL is the server's setting.
ALTER TABLE vault ADD COLUMN keep_versions INTEGER;
ALTER TABLE vault ADD COLUMN keep_versions_for INTEGER;
