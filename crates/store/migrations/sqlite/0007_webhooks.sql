-- Where the server tells of what happens. `event_types` has a space between two of them. `position` is the number of the last
-- record of the log that was taken for the webhook.
CREATE TABLE webhook (
    account          INTEGER NOT NULL,
    id               BLOB NOT NULL,
    url              TEXT NOT NULL,
    event_types      TEXT NOT NULL,
    description      TEXT NOT NULL,
    metadata         TEXT NOT NULL,
    active           INTEGER NOT NULL,
    created_at       INTEGER NOT NULL,
    updated_at       INTEGER NOT NULL,
    revision         INTEGER NOT NULL,
    secret           BLOB NOT NULL,
    -- The signing secret before, and until when it signs along.
    old_secret       BLOB,
    old_secret_until INTEGER,
    position         INTEGER NOT NULL,
    PRIMARY KEY (account, id)
) STRICT, WITHOUT ROWID;

-- What a webhook was not told yet, or never will be: an attempt at each failed. `due` is when it is tried again; of a dead one,
-- when it was given up.
CREATE TABLE webhook_delivery (
    account  INTEGER NOT NULL,
    webhook  BLOB NOT NULL,
    sequence INTEGER NOT NULL,
    event    BLOB NOT NULL,
    kind     TEXT NOT NULL,
    body     TEXT NOT NULL,
    dead     INTEGER NOT NULL,
    attempts INTEGER NOT NULL,
    due      INTEGER NOT NULL,
    error    TEXT NOT NULL,
    PRIMARY KEY (account, webhook, sequence)
) STRICT, WITHOUT ROWID;
CREATE INDEX webhook_delivery_due ON webhook_delivery (account, webhook, dead, due, sequence);
