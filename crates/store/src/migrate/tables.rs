//! What a store is made of, alike in a file and in a database: its tables, and what their columns hold.

/// What a column holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Int,
    /// 0 or 1 in a file.
    Bool,
    Text,
    Bytes,
}

/// A table that is copied row by row.
#[derive(Debug)]
pub(crate) struct Table {
    pub(crate) name: &'static str,
    pub(crate) columns: &'static [(&'static str, Kind)],
    /// How many of the columns, from the first on, are its primary key. They are numbers and bytes, which every database puts in
    /// the same order.
    pub(crate) key: usize,
    /// Whether it is one row, which is there from the start.
    pub(crate) one_row: bool,
}

use Kind::{Bool, Bytes, Int, Text};

const fn table(name: &'static str, key: usize, columns: &'static [(&'static str, Kind)]) -> Table {
    Table { name, columns, key, one_row: false }
}

macro_rules! secret_columns {
    ($($more:tt)*) => {
        &[
            ("account", Int), ("id", Bytes), ("vault", Bytes), ("name", Text), ("description", Text), ("metadata", Text),
            ("created_at", Int), ("created_by", Bytes), ("updated_at", Int), ("last_updated_by", Bytes), ("revision", Int),
            ("version", Int), ("expires_at", Int), ("expiry_due", Int), $($more)*
        ]
    };
}

macro_rules! vault_columns {
    ($($more:tt)*) => {
        &[
            ("account", Int), ("id", Bytes), ("name", Text), ("description", Text), ("metadata", Text), ("created_at", Int),
            ("created_by", Bytes), ("updated_at", Int), ("last_updated_by", Bytes), ("revision", Int), ("wrapped_key", Bytes),
            ("keep_versions", Int), ("keep_versions_for", Int), ("key_id", Bytes), ("previous_key", Bytes), ("keyed_at", Int),
            ("generation", Int), $($more)*
        ]
    };
}

pub(crate) const SECRET: &str = "secret";
pub(crate) const DELETED_SECRET: &str = "deleted_secret";
pub(crate) const VERSION: &str = "version";
pub(crate) const RESOLVED: &str = "resolved";

/// All tables. Secrets come before their versions. Not copied is what only one kind of store has: a file's place in its own log
/// (`resolved_upto`), a database's leases, and how many commits it had.
pub(crate) const TABLES: &[Table] = &[
    table(
        "account",
        1,
        &[
            ("number", Int),
            ("id", Bytes),
            ("name", Text),
            ("created_at", Int),
            ("root_key", Bytes),
            ("wrapped_token_key", Bytes),
            ("vaults", Int),
            ("secrets", Int),
            ("api_keys", Int),
            ("root_keyed_at", Int),
        ],
    ),
    table(
        "user",
        2,
        &[("account", Int), ("id", Bytes), ("email", Text), ("role", Text), ("created_at", Int)],
    ),
    table(
        "service_user",
        2,
        &[
            ("account", Int),
            ("id", Bytes),
            ("name", Text),
            ("active", Bool),
            ("created_at", Int),
            ("revision", Int),
        ],
    ),
    table(
        "api_key",
        2,
        &[
            ("account", Int),
            ("id", Bytes),
            ("owner", Bytes),
            ("description", Text),
            ("metadata", Text),
            ("created_at", Int),
            ("revision", Int),
            ("hash", Bytes),
            ("grants", Text),
            ("expires_at", Int),
            ("client_certificate", Bytes),
        ],
    ),
    table("vault", 2, vault_columns!()),
    table(SECRET, 2, secret_columns!()),
    table("deleted_vault", 2, vault_columns!(("deleted_at", Int), ("deleted_by", Bytes))),
    table(DELETED_SECRET, 2, secret_columns!(("deleted_at", Int), ("deleted_by", Bytes))),
    table(
        VERSION,
        3,
        &[
            ("account", Int),
            ("secret", Bytes),
            ("number", Int),
            ("created_at", Int),
            ("wrapped_key", Bytes),
            ("ciphertext", Bytes),
            ("created_by", Bytes),
            ("replaced_at", Int),
            ("generation", Int),
        ],
    ),
    table(RESOLVED, 2, &[("account", Int), ("secret", Bytes), ("at", Int), ("api_key", Bytes)]),
    table("log_key", 1, &[("account", Int), ("wrapped_key", Bytes)]),
    table(
        "answer",
        2,
        &[
            ("account", Int),
            ("mark", Bytes),
            ("request", Bytes),
            ("at", Int),
            ("object", Text),
            ("wrapped_key", Bytes),
            ("token", Bytes),
        ],
    ),
    table(
        "webhook",
        2,
        &[
            ("account", Int),
            ("id", Bytes),
            ("url", Text),
            ("event_types", Text),
            ("description", Text),
            ("metadata", Text),
            ("active", Bool),
            ("created_at", Int),
            ("updated_at", Int),
            ("revision", Int),
            ("secret", Bytes),
            ("old_secret", Bytes),
            ("old_secret_until", Int),
            ("position", Int),
        ],
    ),
    table(
        "webhook_delivery",
        3,
        &[
            ("account", Int),
            ("webhook", Bytes),
            ("sequence", Int),
            ("event", Bytes),
            ("kind", Text),
            ("body", Text),
            ("dead", Bool),
            ("attempts", Int),
            ("due", Int),
            ("error", Text),
        ],
    ),
    table(
        "ip_policy",
        2,
        &[
            ("account", Int),
            ("id", Bytes),
            ("description", Text),
            ("metadata", Text),
            ("created_at", Int),
            ("revision", Int),
        ],
    ),
    table(
        "ip_policy_rule",
        2,
        &[
            ("account", Int),
            ("id", Bytes),
            ("policy", Bytes),
            ("cidr", Text),
            ("range", Bytes),
            ("action", Text),
            ("description", Text),
            ("metadata", Text),
            ("created_at", Int),
            ("revision", Int),
        ],
    ),
    table(
        "ip_restriction",
        2,
        &[
            ("account", Int),
            ("id", Bytes),
            ("type", Text),
            ("enforced", Bool),
            ("policies", Bytes),
            ("description", Text),
            ("metadata", Text),
            ("created_at", Int),
            ("revision", Int),
        ],
    ),
    table(
        "rotation",
        2,
        &[("account", Int), ("vault", Bytes), ("kind", Text), ("started_at", Int), ("done", Int)],
    ),
    table(
        "key_slot",
        2,
        &[
            ("account", Int),
            ("id", Bytes),
            ("name", Text),
            ("kind", Text),
            ("opener", Text),
            ("public_key", Bytes),
            ("psk", Bytes),
            ("message", Bytes),
            ("created_at", Int),
            ("created_by", Bytes),
        ],
    ),
    table("audit", 1, &[("sequence", Int), ("canonical", Bytes)]),
    table("audit_tree", 1, &[("id", Int), ("hashes", Bytes)]),
    Table {
        name: "audit_head",
        columns: &[
            ("id", Int),
            ("sequence", Int),
            ("root", Bytes),
            ("edge", Bytes),
            ("pruned_upto", Int),
            ("pruned_by", Int),
            ("log_keys_made", Int),
        ],
        key: 1,
        one_row: true,
    },
];

impl Table {
    /// The columns, for a statement.
    pub(crate) fn names(&self) -> String {
        let names: Vec<String> = self.columns.iter().map(|(name, _)| quoted(name)).collect();
        names.join(", ")
    }

    /// The statement that reads a page of rows in the order of the key: the first, or the one after a key that is bound.
    pub(crate) fn page(&self, after: bool, limit: usize) -> String {
        let key: Vec<String> = self.columns[..self.key].iter().map(|(name, _)| quoted(name)).collect();
        let (key, table) = (key.join(", "), quoted(self.name));
        let bound: Vec<String> = (1..=self.key).map(|number| format!("${number}")).collect();
        let after = if after { format!("WHERE ({key}) > ({}) ", bound.join(", ")) } else { String::new() };
        format!("SELECT {} FROM {table} {after}ORDER BY {key} LIMIT {limit}", self.names())
    }
}

/// A name as both kinds of databases read it, also where it is a word of theirs.
pub(crate) fn quoted(name: &str) -> String {
    format!("\"{name}\"")
}
