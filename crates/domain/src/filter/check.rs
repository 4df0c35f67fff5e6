//! Types: what may be compared with what, and what that means for the stored form.
//!
//! The functions here say what is wrong; the parser knows where.

use jiff::Timestamp;

use super::ast::{Compare, Expr, Part};
use super::{Field, Kind, NEVER, time};

/// Anything that an expression of the language can stand for.
#[derive(Debug)]
pub(super) enum Operand {
    /// A field other than one that is true or false, which is a condition.
    Field(&'static Field),
    /// The size of a text field.
    Size(&'static str),
    Text(String),
    Number(i64),
    Time(Timestamp),
    Null,
    List(Vec<Operand>),
    Condition(Expr),
}

impl Operand {
    /// What an error message calls it.
    fn describe(&self) -> String {
        match self {
            Self::Field(Field { name, kind }) => format!("obj.{name} ({})", kind_name(*kind)),
            Self::Size(field) => format!("the size of obj.{field}"),
            Self::Text(_) => "a text".to_owned(),
            Self::Number(_) => "a number".to_owned(),
            Self::Time(_) => "a timestamp".to_owned(),
            Self::Null => "null".to_owned(),
            Self::List(_) => "a list".to_owned(),
            Self::Condition(_) => "a condition".to_owned(),
        }
    }

    /// Whether it is the same for every object.
    fn is_literal(&self) -> bool {
        matches!(self, Self::Text(_) | Self::Number(_) | Self::Time(_) | Self::Null)
    }
}

fn kind_name(kind: Kind) -> &'static str {
    match kind {
        Kind::Text => "text",
        Kind::Time | Kind::End => "time",
        Kind::Id { .. } => "id",
        Kind::Bool => "true or false",
    }
}

/// The complaint about a field that is not among `fields`; ngrok's begins alike.
pub(super) fn unsupported_field(path: &str, fields: &[Field]) -> String {
    let names: Vec<_> = fields.iter().map(|field| format!("obj.{}", field.name)).collect();
    let listed = match names.as_slice() {
        [] => "nothing here can be filtered".to_owned(),
        [one] => format!("must be {one}"),
        [one, two] => format!("must be {one} or {two}"),
        [all @ .., last] => format!("must be {}, or {last}", all.join(", ")),
    };
    format!("unsupported field: obj.{} ({listed})", super::lexer::shown(path))
}

pub(super) fn condition(operand: Operand) -> Result<Expr, String> {
    match operand {
        Operand::Condition(expr) => Ok(expr),
        other => Err(format!("expected a condition, found {}", other.describe())),
    }
}

/// `left op right`
pub(super) fn compare(left: Operand, op: Compare, right: Operand) -> Result<Expr, String> {
    match (left, right) {
        (Operand::Condition(left), Operand::Condition(right)) => conditions(left, op, right),
        (left, right) if left.is_literal() && right.is_literal() => {
            Err("one side of a comparison must be a field".to_owned())
        }
        (Operand::Field(left), Operand::Field(right)) => fields(left, op, right),
        (Operand::Field(field), value) => with_value(field, op, value),
        (value, Operand::Field(field)) => with_value(field, op.flipped(), value),
        (Operand::Size(field), Operand::Number(count)) => Ok(Expr::TextSize { field, op, count }),
        (Operand::Number(count), Operand::Size(field)) => {
            Ok(Expr::TextSize { field, op: op.flipped(), count })
        }
        (left, right) => Err(cannot_compare(&left, &right)),
    }
}

fn cannot_compare(left: &Operand, right: &Operand) -> String {
    format!("cannot compare {} with {}", left.describe(), right.describe())
}

/// A condition may be compared with `true` and `false`, nothing more.
fn conditions(left: Expr, op: Compare, right: Expr) -> Result<Expr, String> {
    let (expr, wanted) = match (left, right) {
        (expr, Expr::Const(wanted)) | (Expr::Const(wanted), expr) => (expr, wanted),
        _ => return Err("a condition can be compared with true or false only".to_owned()),
    };
    match op {
        Compare::Eq | Compare::Ne if wanted == (op == Compare::Eq) => Ok(expr),
        Compare::Eq | Compare::Ne => Ok(Expr::not(expr)),
        _ => Err("conditions have no order".to_owned()),
    }
}

fn fields(left: &'static Field, op: Compare, right: &'static Field) -> Result<Expr, String> {
    match (left.kind, right.kind) {
        (Kind::Text, Kind::Text) | (Kind::Time | Kind::End, Kind::Time | Kind::End) => {
            Ok(Expr::Fields { left: left.name, op, right: right.name })
        }
        // The stored bytes lack the prefix, without which a vault's id could equal a secret's.
        (Kind::Id { .. }, Kind::Id { .. }) => Err("ids can be compared with texts only".to_owned()),
        _ => Err(cannot_compare(&Operand::Field(left), &Operand::Field(right))),
    }
}

fn with_value(field: &'static Field, op: Compare, value: Operand) -> Result<Expr, String> {
    let name = field.name;
    match (field.kind, value) {
        (_, Operand::Null) if !op.is_equality() => Err("null has no order".to_owned()),
        // ngrok's page writes `== null` beside `== ""`, and no text of the API is ever absent.
        (Kind::Text, Operand::Null) => Ok(Expr::Text { field: name, op, value: String::new() }),
        (Kind::End, Operand::Null) => Ok(Expr::Time { field: name, op, second: NEVER }),
        (_, Operand::Null) => Ok(op.never_equal()),
        (Kind::Text, Operand::Text(value)) => Ok(text(name, op, value)),
        (Kind::Id { decode }, Operand::Text(value)) => match decode(&value) {
            Some(value) => Ok(Expr::Id { field: name, op, value }),
            None if op.is_equality() => Ok(op.never_equal()),
            None => Err(format!("obj.{name} is ordered among ids, and the text is none")),
        },
        (Kind::Time | Kind::End, Operand::Time(instant)) => {
            time::compare(name, op, instant).ok_or_else(|| "the instant is out of range".to_owned())
        }
        (Kind::Time | Kind::End, Operand::Text(_)) => {
            Err(format!("obj.{name} is compared with timestamp(\"…\"), not with a text"))
        }
        (_, value) => Err(cannot_compare(&Operand::Field(field), &value)),
    }
}

/// Stored text holds no NUL, so a value with one can be told by what precedes the NUL. This keeps NUL away from
/// databases that take none in text.
fn text(field: &'static str, op: Compare, mut value: String) -> Expr {
    let Some(end) = value.find('\0') else { return Expr::Text { field, op, value } };
    value.truncate(end);
    let op = match op {
        Compare::Eq | Compare::Ne => return op.never_equal(),
        Compare::Lt | Compare::Le => Compare::Le,
        Compare::Gt | Compare::Ge => Compare::Gt,
    };
    Expr::Text { field, op, value }
}

/// `left in right`
pub(super) fn contained(left: Operand, right: Operand) -> Result<Expr, String> {
    let Operand::List(items) = right else {
        return Err(format!("`in` needs a list such as [\"a\", \"b\"], not {}", right.describe()));
    };
    let equalities = match left {
        Operand::Field(field) => {
            items.into_iter().map(|item| compare(Operand::Field(field), Compare::Eq, item)).collect()
        }
        Operand::Size(field) => {
            items.into_iter().map(|item| compare(Operand::Size(field), Compare::Eq, item)).collect()
        }
        other => Err(format!("`in` looks for a field, not for {}", other.describe())),
    };
    Ok(gathered(equalities?))
}

/// The disjunction of `equalities`, as one list where a store has a form for that.
fn gathered(equalities: Vec<Expr>) -> Expr {
    let mut texts = Vec::new();
    let mut ids = Vec::new();
    let mut of = "";
    let mut others = Vec::new();
    for equality in equalities {
        match equality {
            Expr::Text { field, op: Compare::Eq, value } => {
                of = field;
                texts.push(value);
            }
            Expr::Id { field, op: Compare::Eq, value } => {
                of = field;
                ids.push(value);
            }
            other => others.push(other),
        }
    }
    let text = |value| Expr::Text { field: of, op: Compare::Eq, value };
    others.extend(listed(texts, text, |values| Expr::TextIn { field: of, values }));
    let id = |value| Expr::Id { field: of, op: Compare::Eq, value };
    others.extend(listed(ids, id, |values| Expr::IdIn { field: of, values }));
    Expr::any(others)
}

/// `one` of a single value, `many` of more.
fn listed<T>(
    mut values: Vec<T>,
    one: impl FnOnce(T) -> Expr,
    many: impl FnOnce(Vec<T>) -> Expr,
) -> Option<Expr> {
    if values.len() > 1 { Some(many(values)) } else { values.pop().map(one) }
}

/// `size(of)` and `of.size()`
pub(super) fn size(of: Operand) -> Result<Operand, String> {
    match of {
        Operand::Field(Field { name, kind: Kind::Text }) => Ok(Operand::Size(name)),
        other => Err(format!("size() needs a text field, not {}", other.describe())),
    }
}

/// `timestamp(of)`
pub(super) fn timestamp(of: Operand) -> Result<Operand, String> {
    match of {
        Operand::Time(instant) => Ok(Operand::Time(instant)),
        Operand::Text(text) => time::instant(&text).map(Operand::Time).ok_or_else(|| {
            "timestamp() needs a date and time such as \"2025-10-31T09:23:45-07:00\"".to_owned()
        }),
        other => Err(format!("timestamp() needs a text or time.now, not {}", other.describe())),
    }
}

/// What a method of one argument makes of its target and its argument.
pub(super) type Method = fn(Operand, Operand) -> Result<Operand, String>;

/// The method `name`, if there is one that takes an argument.
pub(super) fn method(name: &str) -> Option<Method> {
    match name {
        "startsWith" => Some(|target, value| substring(target, Part::Start, value)),
        "contains" => Some(|target, value| substring(target, Part::Anywhere, value)),
        "endsWith" => Some(|target, value| substring(target, Part::End, value)),
        "add" => Some(|target, span| moved(target, span, 1)),
        "subtract" => Some(|target, span| moved(target, span, -1)),
        _ => None,
    }
}

fn substring(target: Operand, part: Part, value: Operand) -> Result<Operand, String> {
    let field = match target {
        Operand::Field(Field { name, kind: Kind::Text }) => *name,
        Operand::Field(Field { name, kind: Kind::Id { .. } }) => {
            return Err(format!("substring checks are not supported on obj.{name} (compare it with ==)"));
        }
        other => return Err(format!("substring checks need a text field, not {}", other.describe())),
    };
    let Operand::Text(value) = value else {
        return Err(format!("substring checks look for a text, not for {}", value.describe()));
    };
    let expr = if value.is_empty() {
        Expr::Const(true)
    } else if value.contains('\0') {
        // Stored text holds none.
        Expr::Const(false)
    } else {
        Expr::TextPart { field, part, value }
    };
    Ok(Operand::Condition(expr))
}

fn moved(target: Operand, span: Operand, sign: i128) -> Result<Operand, String> {
    let Operand::Time(instant) = target else {
        return Err(format!("only a timestamp(…) can be moved, not {}", target.describe()));
    };
    let Operand::Text(span) = span else {
        return Err(format!("a span of time is a text such as \"24h\" or \"7d\", not {}", span.describe()));
    };
    let nanos = time::span(&span).ok_or("a span of time is written \"24h\", \"7d\" or \"1h30m\"")?;
    let moved = time::shifted(instant, sign * nanos).ok_or("the instant is out of range")?;
    Ok(Operand::Time(moved))
}
