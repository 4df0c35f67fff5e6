-- Sets of rules about addresses.
CREATE TABLE ip_policy (
    account     INTEGER NOT NULL,
    id          BLOB NOT NULL,
    description TEXT NOT NULL,
    metadata    TEXT NOT NULL,
    created_at  INTEGER NOT NULL,
    revision    INTEGER NOT NULL,
    PRIMARY KEY (account, id)
) STRICT, WITHOUT ROWID;

-- `cidr` is as it was given; `range` is the same however it is written.
CREATE TABLE ip_policy_rule (
    account     INTEGER NOT NULL,
    id          BLOB NOT NULL,
    policy      BLOB NOT NULL,
    cidr        TEXT NOT NULL,
    range       BLOB NOT NULL,
    action      TEXT NOT NULL,
    description TEXT NOT NULL,
    metadata    TEXT NOT NULL,
    created_at  INTEGER NOT NULL,
    revision    INTEGER NOT NULL,
    PRIMARY KEY (account, id)
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX ip_policy_rule_range ON ip_policy_rule (account, policy, range);

-- `policies` are the ids of its policies, one after the other.
CREATE TABLE ip_restriction (
    account     INTEGER NOT NULL,
    id          BLOB NOT NULL,
    type        TEXT NOT NULL,
    enforced    INTEGER NOT NULL,
    policies    BLOB NOT NULL,
    description TEXT NOT NULL,
    metadata    TEXT NOT NULL,
    created_at  INTEGER NOT NULL,
    revision    INTEGER NOT NULL,
    PRIMARY KEY (account, id)
) STRICT, WITHOUT ROWID;
