-- The tables of the SQLite store, by the same names, as they stand after its migration 0011: what a column holds is told there.
-- Ids are bytes that sort by time, times are Unix seconds, texts are ordered by their bytes. The server makes every number
-- itself: there are no sequences.
--
-- Not every engine makes tables in a transaction. So each statement may be run again after itself and those that follow it, by who
-- begins once more or by another node at the same time, and then changes nothing.

CREATE TABLE IF NOT EXISTS account (
    number            BIGINT PRIMARY KEY,
    id                BYTEA NOT NULL UNIQUE,
    name              TEXT COLLATE "C" NOT NULL,
    created_at        BIGINT NOT NULL,
    root_key          BYTEA NOT NULL,
    wrapped_token_key BYTEA NOT NULL,
    vaults            BIGINT NOT NULL DEFAULT 0,
    secrets           BIGINT NOT NULL DEFAULT 0,
    api_keys          BIGINT NOT NULL DEFAULT 0,
    root_keyed_at     BIGINT
) WITH (fillfactor = 10);

CREATE TABLE IF NOT EXISTS "user" (
    account    BIGINT NOT NULL,
    id         BYTEA NOT NULL,
    email      TEXT COLLATE "C" NOT NULL,
    role       TEXT COLLATE "C" NOT NULL,
    created_at BIGINT NOT NULL,
    PRIMARY KEY (account, id)
);
CREATE UNIQUE INDEX IF NOT EXISTS user_email ON "user" (account, email);

CREATE TABLE IF NOT EXISTS service_user (
    account    BIGINT NOT NULL,
    id         BYTEA NOT NULL,
    name       TEXT COLLATE "C" NOT NULL,
    active     BOOLEAN NOT NULL,
    created_at BIGINT NOT NULL,
    revision   BIGINT NOT NULL,
    PRIMARY KEY (account, id)
);
CREATE UNIQUE INDEX IF NOT EXISTS service_user_name ON service_user (account, name);

CREATE TABLE IF NOT EXISTS api_key (
    account            BIGINT NOT NULL,
    id                 BYTEA NOT NULL,
    owner              BYTEA NOT NULL,
    description        TEXT COLLATE "C" NOT NULL,
    metadata           TEXT COLLATE "C" NOT NULL,
    created_at         BIGINT NOT NULL,
    revision           BIGINT NOT NULL,
    hash               BYTEA NOT NULL,
    grants             TEXT COLLATE "C",
    expires_at         BIGINT,
    client_certificate BYTEA,
    PRIMARY KEY (account, id)
);
CREATE INDEX IF NOT EXISTS api_key_owner ON api_key (account, owner, id);

CREATE TABLE IF NOT EXISTS vault (
    account           BIGINT NOT NULL,
    id                BYTEA NOT NULL,
    name              TEXT COLLATE "C" NOT NULL,
    description       TEXT COLLATE "C" NOT NULL,
    metadata          TEXT COLLATE "C" NOT NULL,
    created_at        BIGINT NOT NULL,
    created_by        BYTEA NOT NULL,
    updated_at        BIGINT NOT NULL,
    last_updated_by   BYTEA NOT NULL,
    revision          BIGINT NOT NULL,
    wrapped_key       BYTEA NOT NULL,
    keep_versions     BIGINT,
    keep_versions_for BIGINT,
    key_id            BYTEA,
    previous_key      BYTEA,
    keyed_at          BIGINT,
    generation        BIGINT NOT NULL DEFAULT 0,
    PRIMARY KEY (account, id)
);
CREATE UNIQUE INDEX IF NOT EXISTS vault_name ON vault (account, name);

CREATE TABLE IF NOT EXISTS secret (
    account         BIGINT NOT NULL,
    id              BYTEA NOT NULL,
    vault           BYTEA NOT NULL,
    name            TEXT COLLATE "C" NOT NULL,
    description     TEXT COLLATE "C" NOT NULL,
    metadata        TEXT COLLATE "C" NOT NULL,
    created_at      BIGINT NOT NULL,
    created_by      BYTEA NOT NULL,
    updated_at      BIGINT NOT NULL,
    last_updated_by BYTEA NOT NULL,
    revision        BIGINT NOT NULL,
    version         BIGINT NOT NULL,
    expires_at      BIGINT,
    expiry_due      BIGINT,
    PRIMARY KEY (account, id)
);
CREATE UNIQUE INDEX IF NOT EXISTS secret_name ON secret (account, name, vault);
CREATE INDEX IF NOT EXISTS secret_vault ON secret (account, vault, id);
CREATE INDEX IF NOT EXISTS secret_expiry ON secret (account, expiry_due, id) WHERE expiry_due IS NOT NULL;

CREATE TABLE IF NOT EXISTS version (
    account     BIGINT NOT NULL,
    secret      BYTEA NOT NULL,
    number      BIGINT NOT NULL,
    created_at  BIGINT NOT NULL,
    wrapped_key BYTEA NOT NULL,
    ciphertext  BYTEA NOT NULL,
    created_by  BYTEA,
    replaced_at BIGINT,
    generation  BIGINT NOT NULL DEFAULT 0,
    PRIMARY KEY (account, secret, number)
);
CREATE INDEX IF NOT EXISTS version_replaced ON version (account, replaced_at, secret, number) WHERE replaced_at IS NOT NULL;

CREATE TABLE IF NOT EXISTS deleted_vault (
    account           BIGINT NOT NULL,
    id                BYTEA NOT NULL,
    name              TEXT COLLATE "C" NOT NULL,
    description       TEXT COLLATE "C" NOT NULL,
    metadata          TEXT COLLATE "C" NOT NULL,
    created_at        BIGINT NOT NULL,
    created_by        BYTEA NOT NULL,
    updated_at        BIGINT NOT NULL,
    last_updated_by   BYTEA NOT NULL,
    revision          BIGINT NOT NULL,
    wrapped_key       BYTEA NOT NULL,
    keep_versions     BIGINT,
    keep_versions_for BIGINT,
    key_id            BYTEA,
    previous_key      BYTEA,
    keyed_at          BIGINT,
    generation        BIGINT NOT NULL DEFAULT 0,
    deleted_at        BIGINT NOT NULL,
    deleted_by        BYTEA NOT NULL,
    PRIMARY KEY (account, id)
);
CREATE INDEX IF NOT EXISTS deleted_vault_at ON deleted_vault (account, deleted_at, id);

CREATE TABLE IF NOT EXISTS deleted_secret (
    account         BIGINT NOT NULL,
    id              BYTEA NOT NULL,
    vault           BYTEA NOT NULL,
    name            TEXT COLLATE "C" NOT NULL,
    description     TEXT COLLATE "C" NOT NULL,
    metadata        TEXT COLLATE "C" NOT NULL,
    created_at      BIGINT NOT NULL,
    created_by      BYTEA NOT NULL,
    updated_at      BIGINT NOT NULL,
    last_updated_by BYTEA NOT NULL,
    revision        BIGINT NOT NULL,
    version         BIGINT NOT NULL,
    expires_at      BIGINT,
    expiry_due      BIGINT,
    deleted_at      BIGINT NOT NULL,
    deleted_by      BYTEA NOT NULL,
    PRIMARY KEY (account, id)
);
CREATE INDEX IF NOT EXISTS deleted_secret_at ON deleted_secret (account, deleted_at, id);
CREATE INDEX IF NOT EXISTS deleted_secret_vault ON deleted_secret (account, vault, id);

CREATE TABLE IF NOT EXISTS resolved (
    account BIGINT NOT NULL,
    secret  BYTEA NOT NULL,
    at      BIGINT NOT NULL,
    api_key BYTEA NOT NULL,
    PRIMARY KEY (account, secret)
);

CREATE TABLE IF NOT EXISTS audit (
    sequence  BIGINT PRIMARY KEY,
    canonical BYTEA NOT NULL
);

CREATE TABLE IF NOT EXISTS audit_tree (
    id     BIGINT PRIMARY KEY,
    hashes BYTEA NOT NULL
);

-- Where the audit log ends. Every change of any node locks this row first, so that there is one log for all of them, and changes
-- happen one after the other. `commits` counts them, `untold` those of them whose effect on what others keep in memory no
-- record tells.
CREATE TABLE IF NOT EXISTS audit_head (
    id            BIGINT PRIMARY KEY CHECK (id = 1),
    sequence      BIGINT NOT NULL,
    root          BYTEA NOT NULL,
    edge          BYTEA NOT NULL,
    pruned_upto   BIGINT NOT NULL DEFAULT 0,
    pruned_by     BIGINT NOT NULL DEFAULT 0,
    log_keys_made BIGINT NOT NULL DEFAULT 0,
    commits       BIGINT NOT NULL DEFAULT 0,
    untold        BIGINT NOT NULL DEFAULT 0
) WITH (fillfactor = 10);

CREATE TABLE IF NOT EXISTS log_key (
    account     BIGINT PRIMARY KEY,
    wrapped_key BYTEA NOT NULL
);

CREATE TABLE IF NOT EXISTS answer (
    account     BIGINT NOT NULL,
    mark        BYTEA NOT NULL,
    request     BYTEA NOT NULL,
    at          BIGINT NOT NULL,
    object      TEXT COLLATE "C" NOT NULL,
    wrapped_key BYTEA,
    token       BYTEA,
    PRIMARY KEY (account, mark)
);
CREATE INDEX IF NOT EXISTS answer_at ON answer (account, at);

CREATE TABLE IF NOT EXISTS webhook (
    account          BIGINT NOT NULL,
    id               BYTEA NOT NULL,
    url              TEXT COLLATE "C" NOT NULL,
    event_types      TEXT COLLATE "C" NOT NULL,
    description      TEXT COLLATE "C" NOT NULL,
    metadata         TEXT COLLATE "C" NOT NULL,
    active           BOOLEAN NOT NULL,
    created_at       BIGINT NOT NULL,
    updated_at       BIGINT NOT NULL,
    revision         BIGINT NOT NULL,
    secret           BYTEA NOT NULL,
    old_secret       BYTEA,
    old_secret_until BIGINT,
    position         BIGINT NOT NULL,
    PRIMARY KEY (account, id)
);

CREATE TABLE IF NOT EXISTS webhook_delivery (
    account  BIGINT NOT NULL,
    webhook  BYTEA NOT NULL,
    sequence BIGINT NOT NULL,
    event    BYTEA NOT NULL,
    kind     TEXT COLLATE "C" NOT NULL,
    body     TEXT COLLATE "C" NOT NULL,
    dead     BOOLEAN NOT NULL,
    attempts BIGINT NOT NULL,
    due      BIGINT NOT NULL,
    error    TEXT COLLATE "C" NOT NULL,
    PRIMARY KEY (account, webhook, sequence)
);
CREATE INDEX IF NOT EXISTS webhook_delivery_due ON webhook_delivery (account, webhook, dead, due, sequence);

CREATE TABLE IF NOT EXISTS ip_policy (
    account     BIGINT NOT NULL,
    id          BYTEA NOT NULL,
    description TEXT COLLATE "C" NOT NULL,
    metadata    TEXT COLLATE "C" NOT NULL,
    created_at  BIGINT NOT NULL,
    revision    BIGINT NOT NULL,
    PRIMARY KEY (account, id)
);

CREATE TABLE IF NOT EXISTS ip_policy_rule (
    account     BIGINT NOT NULL,
    id          BYTEA NOT NULL,
    policy      BYTEA NOT NULL,
    cidr        TEXT COLLATE "C" NOT NULL,
    range       BYTEA NOT NULL,
    action      TEXT COLLATE "C" NOT NULL,
    description TEXT COLLATE "C" NOT NULL,
    metadata    TEXT COLLATE "C" NOT NULL,
    created_at  BIGINT NOT NULL,
    revision    BIGINT NOT NULL,
    PRIMARY KEY (account, id)
);
CREATE UNIQUE INDEX IF NOT EXISTS ip_policy_rule_range ON ip_policy_rule (account, policy, range);

CREATE TABLE IF NOT EXISTS ip_restriction (
    account     BIGINT NOT NULL,
    id          BYTEA NOT NULL,
    type        TEXT COLLATE "C" NOT NULL,
    enforced    BOOLEAN NOT NULL,
    policies    BYTEA NOT NULL,
    description TEXT COLLATE "C" NOT NULL,
    metadata    TEXT COLLATE "C" NOT NULL,
    created_at  BIGINT NOT NULL,
    revision    BIGINT NOT NULL,
    PRIMARY KEY (account, id)
);

CREATE TABLE IF NOT EXISTS rotation (
    account    BIGINT NOT NULL,
    vault      BYTEA NOT NULL,
    kind       TEXT COLLATE "C" NOT NULL,
    started_at BIGINT NOT NULL,
    done       BIGINT NOT NULL,
    PRIMARY KEY (account, vault)
);

CREATE TABLE IF NOT EXISTS key_slot (
    account    BIGINT NOT NULL,
    id         BYTEA NOT NULL,
    name       TEXT COLLATE "C" NOT NULL,
    kind       TEXT COLLATE "C" NOT NULL,
    opener     TEXT COLLATE "C" NOT NULL,
    public_key BYTEA NOT NULL,
    psk        BYTEA NOT NULL,
    message    BYTEA NOT NULL,
    created_at BIGINT NOT NULL,
    created_by BYTEA NOT NULL,
    PRIMARY KEY (account, id)
);
CREATE UNIQUE INDEX IF NOT EXISTS key_slot_name ON key_slot (account, name);

-- Which node does the work that is one node's at a time, and until when by the database's own clock, in milliseconds.
CREATE TABLE IF NOT EXISTS lease (
    account BIGINT NOT NULL,
    name    TEXT COLLATE "C" NOT NULL,
    holder  BYTEA NOT NULL,
    until   BIGINT NOT NULL,
    PRIMARY KEY (account, name)
);

-- The root of the empty tree is the hash of nothing.
INSERT INTO audit_head (id, sequence, root, edge)
VALUES (1, 0, '\xe3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855', '')
ON CONFLICT (id) DO NOTHING;
