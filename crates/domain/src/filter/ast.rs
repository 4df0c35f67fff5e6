//! The checked expression.

/// A checked filter expression.
///
/// Names are those of the [`Field`](super::Field)s the filter was parsed with. No part of it can fail: every
/// literal already has the form in which the field is stored.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Expr {
    /// Always true or always false.
    Const(bool),
    /// The opposite.
    Not(Box<Expr>),
    /// Every one of them, two or more.
    And(Vec<Expr>),
    /// At least one of them, two or more.
    Or(Vec<Expr>),
    /// A field that is itself true or false.
    Flag(&'static str),
    /// A text field against a text, by code points. The value holds no NUL.
    Text {
        /// The field on the left.
        field: &'static str,
        /// The comparison.
        op: Compare,
        /// The text on the right.
        value: String,
    },
    /// A text field equal to one of several texts, two or more, none of which holds a NUL.
    TextIn {
        /// The field.
        field: &'static str,
        /// The texts.
        values: Vec<String>,
    },
    /// A text field that holds a text, case-sensitively. The value is not empty and holds no NUL.
    TextPart {
        /// The field.
        field: &'static str,
        /// Where in the field.
        part: Part,
        /// The text to find.
        value: String,
    },
    /// The number of code points of a text field against a number.
    TextSize {
        /// The field on the left.
        field: &'static str,
        /// The comparison.
        op: Compare,
        /// The number on the right; it may be negative.
        count: i64,
    },
    /// An id field against an id.
    Id {
        /// The field on the left.
        field: &'static str,
        /// The comparison.
        op: Compare,
        /// The stored bytes of the id on the right.
        value: Vec<u8>,
    },
    /// An id field equal to one of several ids, two or more.
    IdIn {
        /// The field.
        field: &'static str,
        /// The stored bytes of the ids.
        values: Vec<Vec<u8>>,
    },
    /// A time field against an instant.
    ///
    /// The instant of the filter may be finer than a second. `op` and `second` are chosen so that the comparison
    /// comes out the same for a field of whole seconds.
    Time {
        /// The field on the left.
        field: &'static str,
        /// The comparison.
        op: Compare,
        /// Unix seconds on the right.
        second: i64,
    },
    /// Two text fields, or two time fields, against each other.
    Fields {
        /// The field on the left.
        left: &'static str,
        /// The comparison.
        op: Compare,
        /// The field on the right.
        right: &'static str,
    },
}

/// A comparison.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Compare {
    /// `==`
    Eq,
    /// `!=`
    Ne,
    /// `<`
    Lt,
    /// `<=`
    Le,
    /// `>`
    Gt,
    /// `>=`
    Ge,
}

impl Compare {
    /// The comparison that says the same with its sides exchanged.
    pub(super) fn flipped(self) -> Self {
        match self {
            Self::Lt => Self::Gt,
            Self::Le => Self::Ge,
            Self::Gt => Self::Lt,
            Self::Ge => Self::Le,
            equality => equality,
        }
    }

    pub(super) fn is_equality(self) -> bool {
        matches!(self, Self::Eq | Self::Ne)
    }

    /// What `x == y` and `x != y` are for an `x` that can never be `y`.
    pub(super) fn never_equal(self) -> Expr {
        Expr::Const(self == Self::Ne)
    }
}

/// Where in a text another one is looked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Part {
    /// `startsWith`
    Start,
    /// `contains`
    Anywhere,
    /// `endsWith`
    End,
}

impl Expr {
    /// The opposite of `expr`.
    pub(super) fn not(expr: Self) -> Self {
        match expr {
            Self::Const(value) => Self::Const(!value),
            Self::Not(inner) => *inner,
            other => Self::Not(Box::new(other)),
        }
    }

    /// The conjunction of `exprs`; true when there are none.
    pub(super) fn all(exprs: Vec<Self>) -> Self {
        let mut flat = Vec::new();
        for expr in exprs {
            match expr {
                Self::Const(true) => {}
                Self::Const(false) => return Self::Const(false),
                // One level, so that `required_equal` sees through parentheses.
                Self::And(inner) => flat.extend(inner),
                other => flat.push(other),
            }
        }
        match flat.len() {
            0 => Self::Const(true),
            1 => flat.remove(0),
            _ => Self::And(flat),
        }
    }

    /// The disjunction of `exprs`; false when there are none.
    pub(super) fn any(exprs: Vec<Self>) -> Self {
        let mut flat = Vec::new();
        for expr in exprs {
            match expr {
                Self::Const(false) => {}
                Self::Const(true) => return Self::Const(true),
                Self::Or(inner) => flat.extend(inner),
                other => flat.push(other),
            }
        }
        match flat.len() {
            0 => Self::Const(false),
            1 => flat.remove(0),
            _ => Self::Or(flat),
        }
    }

    /// The bytes of memory that an expression takes beside its own place.
    pub(super) fn heap_size(&self) -> usize {
        let place = size_of::<Self>();
        match self {
            Self::Not(inner) => place + inner.heap_size(),
            Self::And(inner) | Self::Or(inner) => {
                inner.capacity() * place + inner.iter().map(Self::heap_size).sum::<usize>()
            }
            Self::Text { value, .. } | Self::TextPart { value, .. } => value.capacity(),
            Self::TextIn { values, .. } => {
                values.capacity() * size_of::<String>() + values.iter().map(String::capacity).sum::<usize>()
            }
            Self::Id { value, .. } => value.capacity(),
            Self::IdIn { values, .. } => {
                values.capacity() * size_of::<Vec<u8>>() + values.iter().map(Vec::capacity).sum::<usize>()
            }
            Self::Const(_)
            | Self::Flag(_)
            | Self::TextSize { .. }
            | Self::Time { .. }
            | Self::Fields { .. } => 0,
        }
    }

    /// How many terms a database works through for a row.
    pub(super) fn terms(&self) -> usize {
        match self {
            Self::Not(inner) => inner.terms(),
            Self::And(inner) | Self::Or(inner) => inner.iter().map(Self::terms).sum(),
            Self::TextIn { values, .. } => values.len(),
            Self::IdIn { values, .. } => values.len(),
            _ => 1,
        }
    }
}
