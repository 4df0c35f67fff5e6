//! List filters as SQL conditions.
//!
//! A [`Filter`] is checked already, so this cannot fail. Every value of it becomes a bound parameter. The SQL is what
//! SQLite and PostgreSQL understand alike; only the placeholders (`?`) are SQLite's.
//!
//! The columns must be `NOT NULL`: with three-valued logic `NOT (column = ?)` would lose rows. Text columns must be
//! ordered by bytes, which for UTF-8 is the order of code points.

use strongroom_domain::filter::{Compare, Expr, Filter, Part};

/// A value of a filter. Each database has a type of its own for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    /// A number: a time, or a length.
    Int(i64),
    /// A text.
    Text(String),
    /// The bytes of an id.
    Bytes(Vec<u8>),
}

/// A condition for a `WHERE` clause, in parentheses where it needs them, and the values of its placeholders in order.
#[derive(Debug, Clone, PartialEq)]
pub struct Fragment {
    /// The SQL; it holds no value of the filter.
    pub sql: String,
    /// One value for each `?`.
    pub params: Vec<Value>,
}

/// Writes `filter` as SQL, with the expression that `column` gives for each field the filter names.
///
/// The columns must hold text as `TEXT`, times as whole Unix seconds in `INTEGER`, ids as `BLOB` in the form that the
/// field's `decode` gives, and flags as what the database takes for a condition (in SQLite 0 and 1).
pub fn compile(filter: &Filter, column: &dyn Fn(&str) -> &'static str) -> Fragment {
    let mut writer = Writer { column, sql: String::new(), params: Vec::new() };
    writer.expr(filter.expr());
    Fragment { sql: writer.sql, params: writer.params }
}

struct Writer<'a> {
    column: &'a dyn Fn(&str) -> &'static str,
    sql: String,
    params: Vec<Value>,
}

impl Writer<'_> {
    /// The domain bounds the depth of `expr`, and with it this recursion and that of the database's parser.
    fn expr(&mut self, expr: &Expr) {
        match expr {
            // PostgreSQL takes no number for a condition.
            Expr::Const(value) => self.sql.push_str(if *value { "1 = 1" } else { "1 = 0" }),
            // Binds looser than any comparison, and what binds looser still brings its parentheses.
            Expr::Not(inner) => {
                self.sql.push_str("NOT ");
                self.expr(inner);
            }
            Expr::And(inner) => self.joined(inner, " AND "),
            Expr::Or(inner) => self.joined(inner, " OR "),
            Expr::Flag(field) => self.column(field),
            Expr::Text { field, op, value } => self.compared(field, *op, Value::Text(value.clone())),
            Expr::TextIn { field, values } => self.listed(field, values.iter().cloned().map(Value::Text)),
            Expr::TextPart { field, part, value } => self.part(field, *part, value),
            Expr::TextSize { field, op, count } => {
                self.length(field);
                self.operator(*op);
                self.value(Value::Int(*count));
            }
            Expr::Id { field, op, value } => self.compared(field, *op, Value::Bytes(value.clone())),
            Expr::IdIn { field, values } => self.listed(field, values.iter().cloned().map(Value::Bytes)),
            Expr::Time { field, op, second } => self.compared(field, *op, Value::Int(*second)),
            Expr::Fields { left, op, right } => {
                self.column(left);
                self.operator(*op);
                self.column(right);
            }
        }
    }

    fn joined(&mut self, exprs: &[Expr], separator: &str) {
        self.sql.push('(');
        for (index, expr) in exprs.iter().enumerate() {
            if index > 0 {
                self.sql.push_str(separator);
            }
            self.expr(expr);
        }
        self.sql.push(')');
    }

    fn compared(&mut self, field: &str, op: Compare, value: Value) {
        self.column(field);
        self.operator(op);
        self.value(value);
    }

    fn listed(&mut self, field: &str, values: impl Iterator<Item = Value>) {
        self.column(field);
        self.sql.push_str(" IN (");
        for (index, value) in values.enumerate() {
            if index > 0 {
                self.sql.push_str(", ");
            }
            self.value(value);
        }
        self.sql.push(')');
    }

    /// `LIKE` and `GLOB` are not used: they have wildcards, and `LIKE` ignores the case of ASCII letters.
    fn part(&mut self, field: &str, part: Part, value: &str) {
        let text = Value::Text(value.to_owned());
        // Both databases count code points here. The value is no longer than the longest filter.
        let count = i64::try_from(value.chars().count()).unwrap_or(i64::MAX);
        match part {
            Part::Start => {
                self.sql.push_str("substr(");
                self.column(field);
                self.sql.push_str(", 1, ");
                self.count(count);
                self.sql.push_str(") = ");
                self.value(text);
            }
            // SQLite has `instr`, PostgreSQL `strpos`; this both have. It removes nothing where nothing is found,
            // and the domain never looks for the empty text.
            Part::Anywhere => {
                self.sql.push_str("replace(");
                self.column(field);
                self.sql.push_str(", ");
                self.value(text);
                self.sql.push_str(", '') <> ");
                self.column(field);
            }
            // In a shorter text `substr` starts before the beginning, and the databases differ in what they give
            // then; but it is no longer than the text, so never what is sought.
            Part::End => {
                self.sql.push_str("substr(");
                self.column(field);
                self.sql.push_str(", ");
                self.length(field);
                self.sql.push_str(" + 1 - ");
                self.count(count);
                self.sql.push_str(") = ");
                self.value(text);
            }
        }
    }

    /// In code points, since no stored text holds a NUL, at which SQLite would stop counting.
    fn length(&mut self, field: &str) {
        self.sql.push_str("length(");
        self.column(field);
        self.sql.push(')');
    }

    fn column(&mut self, field: &str) {
        self.sql.push_str((self.column)(field));
    }

    /// A number of code points, which PostgreSQL takes in no larger type.
    fn count(&mut self, count: i64) {
        self.sql.push_str("CAST(");
        self.value(Value::Int(count));
        self.sql.push_str(" AS INTEGER)");
    }

    fn value(&mut self, value: Value) {
        self.sql.push('?');
        self.params.push(value);
    }

    fn operator(&mut self, op: Compare) {
        self.sql.push_str(match op {
            Compare::Eq => " = ",
            Compare::Ne => " <> ",
            Compare::Lt => " < ",
            Compare::Le => " <= ",
            Compare::Gt => " > ",
            Compare::Ge => " >= ",
        });
    }
}
