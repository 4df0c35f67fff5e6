//! From tokens to a checked expression, by recursive descent over CEL's grammar.
//!
//! Types are checked on the way, in [`check`], so an error always has its place in the text.

use jiff::Timestamp;

use super::ast::{Compare, Expr};
use super::check::{self, Operand};
use super::lexer::{self, Placed, Token, shown};
use super::{Field, FilterError, Kind, MAX_DEPTH};

/// Reads a whole filter.
pub(super) fn parse(text: &str, fields: &'static [Field], now: Timestamp) -> Result<Expr, FilterError> {
    let mut parser = Parser { text, fields, now, tokens: lexer::tokens(text)?, position: 0, depth: 0 };
    let (whole, at) = parser.or()?;
    match parser.peek() {
        Token::End => parser.condition(whole, at),
        other => {
            let what = format!("expected an operator or the end, found {}", other.describe());
            Err(parser.refuse(what))
        }
    }
}

struct Parser<'a> {
    text: &'a str,
    fields: &'static [Field],
    now: Timestamp,
    tokens: Vec<Placed<'a>>,
    position: usize,
    depth: usize,
}

/// An operand and the byte offset at which it starts.
type Parsed = (Operand, usize);

impl<'a> Parser<'a> {
    fn or(&mut self) -> Result<Parsed, FilterError> {
        self.chain("||", Self::and, Expr::any)
    }

    fn and(&mut self) -> Result<Parsed, FilterError> {
        self.chain("&&", Self::relation, Expr::all)
    }

    /// One or more of `inner` with `symbol` between them.
    fn chain(
        &mut self,
        symbol: &'static str,
        inner: fn(&mut Self) -> Result<Parsed, FilterError>,
        join: fn(Vec<Expr>) -> Expr,
    ) -> Result<Parsed, FilterError> {
        let (first, start) = inner(self)?;
        if *self.peek() != Token::Symbol(symbol) {
            return Ok((first, start));
        }
        let mut exprs = vec![self.condition(first, start)?];
        while self.eat(symbol) {
            let (next, at) = inner(self)?;
            exprs.push(self.condition(next, at)?);
        }
        Ok((Operand::Condition(join(exprs)), start))
    }

    /// CEL's relations are left-associative: `a == b == c` is `(a == b) == c`.
    fn relation(&mut self) -> Result<Parsed, FilterError> {
        let (mut left, start) = self.unary()?;
        loop {
            let at = self.at();
            let op = match self.peek() {
                Token::Symbol("==") => Some(Compare::Eq),
                Token::Symbol("!=") => Some(Compare::Ne),
                Token::Symbol("<") => Some(Compare::Lt),
                Token::Symbol("<=") => Some(Compare::Le),
                Token::Symbol(">") => Some(Compare::Gt),
                Token::Symbol(">=") => Some(Compare::Ge),
                Token::Name("in") => None,
                _ => return Ok((left, start)),
            };
            self.next();
            let (right, _) = self.unary()?;
            let expr = match op {
                Some(op) => check::compare(left, op, right),
                None => check::contained(left, right),
            };
            left = Operand::Condition(self.located(expr, at)?);
        }
    }

    fn unary(&mut self) -> Result<Parsed, FilterError> {
        let start = self.at();
        if !self.eat("!") {
            return self.member();
        }
        let (inner, at) = self.nested(start, Self::unary)?;
        Ok((Operand::Condition(Expr::not(self.condition(inner, at)?)), start))
    }

    /// A primary with any methods called on it.
    fn member(&mut self) -> Result<Parsed, FilterError> {
        let (mut operand, start) = self.primary()?;
        while self.eat(".") {
            let at = self.at();
            let name = self.name()?;
            if *self.peek() != Token::Symbol("(") {
                return Err(self.error(at, format!("unsupported name: {}", shown(name))));
            }
            operand = self.method(operand, name, at)?;
        }
        if *self.peek() == Token::Symbol("[") {
            return Err(self.refuse("indexing is not supported: `[`"));
        }
        Ok((operand, start))
    }

    fn primary(&mut self) -> Result<Parsed, FilterError> {
        let Placed { token, at } = self.next();
        let operand = match token {
            Token::Text(value) => Operand::Text(value),
            Token::Number(value) => Operand::Number(value),
            Token::Name("null") => Operand::Null,
            Token::Name("true") => Operand::Condition(Expr::Const(true)),
            Token::Name("false") => Operand::Condition(Expr::Const(false)),
            Token::Name("obj") => self.field(at)?,
            Token::Name("time") => self.time_now(at)?,
            Token::Name(name) if *self.peek() == Token::Symbol("(") => self.function(name, at)?,
            Token::Name(name) => {
                let what = format!("unknown name {} (fields are written obj.name)", shown(name));
                return Err(self.error(at, what));
            }
            Token::Symbol("(") => {
                let (inner, _) = self.nested(at, Self::or)?;
                self.expect(")")?;
                inner
            }
            Token::Symbol("[") => Operand::List(self.list(at)?),
            other => {
                return Err(
                    self.error(at, format!("expected a field or a value, found {}", other.describe()))
                );
            }
        };
        Ok((operand, at))
    }

    /// What follows `obj`, which stood at `start`.
    fn field(&mut self, start: usize) -> Result<Operand, FilterError> {
        let mut path = String::new();
        while self.next_is_plain_name() {
            self.next();
            if !path.is_empty() {
                path.push('.');
            }
            path.push_str(self.name()?);
        }
        match self.fields.iter().find(|field| field.name == path) {
            Some(Field { name, kind: Kind::Bool }) => Ok(Operand::Condition(Expr::Flag(name))),
            Some(field) => Ok(Operand::Field(field)),
            None if path.is_empty() => Err(self.error(start, "obj needs a field (obj.name)")),
            None => Err(self.error(start, check::unsupported_field(&path, self.fields))),
        }
    }

    /// Whether a `.` and a name come next, and the name is not called.
    fn next_is_plain_name(&self) -> bool {
        *self.peek() == Token::Symbol(".")
            && matches!(self.ahead(1), Token::Name(_))
            && *self.ahead(2) != Token::Symbol("(")
    }

    /// What follows `time`, which stood at `start`.
    fn time_now(&mut self, start: usize) -> Result<Operand, FilterError> {
        if self.eat(".") && *self.peek() == Token::Name("now") {
            self.next();
            return Ok(Operand::Time(self.now));
        }
        Err(self.error(start, "unknown name (the instant of the request is written time.now)"))
    }

    fn function(&mut self, name: &str, at: usize) -> Result<Operand, FilterError> {
        if !matches!(name, "timestamp" | "size") {
            return Err(self.error(at, format!("unsupported function: {}()", shown(name))));
        }
        let argument = self.argument(name, at)?;
        let result = if name == "size" { check::size(argument) } else { check::timestamp(argument) };
        self.located(result, at)
    }

    /// Calls the method `name`, which stood at `at`, on `target`.
    fn method(&mut self, target: Operand, name: &str, at: usize) -> Result<Operand, FilterError> {
        if name == "size" {
            self.expect("(")?;
            self.expect(")")?;
            return self.located(check::size(target), at);
        }
        if name == "matches" {
            return Err(self.error(at, "regular expressions are not supported: matches()"));
        }
        let Some(method) = check::method(name) else {
            return Err(self.error(at, format!("unsupported function: {}()", shown(name))));
        };
        let argument = self.argument(name, at)?;
        self.located(method(target, argument), at)
    }

    /// The single argument of a call of `name`, with its parentheses.
    fn argument(&mut self, name: &str, at: usize) -> Result<Operand, FilterError> {
        self.expect("(")?;
        if *self.peek() == Token::Symbol(")") {
            return Err(self.error(at, format!("{name}() needs an argument")));
        }
        let (argument, _) = self.nested(at, Self::or)?;
        self.expect(")")?;
        Ok(argument)
    }

    /// The items of a list whose `[` stood at `start`. As in CEL, a comma may follow the last.
    fn list(&mut self, start: usize) -> Result<Vec<Operand>, FilterError> {
        let mut items = Vec::new();
        while !self.eat("]") {
            items.push(self.nested(start, Self::or)?.0);
            if !self.eat(",") {
                self.expect("]")?;
                break;
            }
        }
        Ok(items)
    }

    /// Runs `inner` one level deeper.
    fn nested(
        &mut self,
        at: usize,
        inner: fn(&mut Self) -> Result<Parsed, FilterError>,
    ) -> Result<Parsed, FilterError> {
        if self.depth == MAX_DEPTH {
            return Err(self.error(at, format!("nested more than {MAX_DEPTH} deep")));
        }
        self.depth += 1;
        let result = inner(self);
        self.depth -= 1;
        result
    }

    fn condition(&self, operand: Operand, at: usize) -> Result<Expr, FilterError> {
        self.located(check::condition(operand), at)
    }

    fn name(&mut self) -> Result<&'a str, FilterError> {
        match self.next() {
            Placed { token: Token::Name(name), .. } => Ok(name),
            Placed { token, at } => {
                Err(self.error(at, format!("expected a name after `.`, found {}", token.describe())))
            }
        }
    }

    fn expect(&mut self, symbol: &'static str) -> Result<(), FilterError> {
        if self.eat(symbol) {
            return Ok(());
        }
        Err(self.refuse(format!("expected `{symbol}`, found {}", self.peek().describe())))
    }

    fn eat(&mut self, symbol: &'static str) -> bool {
        let found = *self.peek() == Token::Symbol(symbol);
        if found {
            self.position += 1;
        }
        found
    }

    /// Takes the next token; the end is never passed.
    fn next(&mut self) -> Placed<'a> {
        let at = self.at();
        let token = match self.tokens.get_mut(self.position) {
            Some(placed) => std::mem::replace(&mut placed.token, Token::End),
            None => Token::End,
        };
        if token != Token::End {
            self.position += 1;
        }
        Placed { token, at }
    }

    fn peek(&self) -> &Token<'a> {
        self.ahead(0)
    }

    fn ahead(&self, count: usize) -> &Token<'a> {
        self.tokens.get(self.position + count).map_or(&Token::End, |placed| &placed.token)
    }

    /// Where the next token starts.
    fn at(&self) -> usize {
        self.tokens.get(self.position).map_or(self.text.len(), |placed| placed.at)
    }

    /// Gives a complaint of [`check`] its place.
    fn located<T>(&self, result: Result<T, String>, at: usize) -> Result<T, FilterError> {
        result.map_err(|what| self.error(at, what))
    }

    /// Complains about the next token.
    fn refuse(&self, what: impl std::fmt::Display) -> FilterError {
        self.error(self.at(), what)
    }

    fn error(&self, at: usize, what: impl std::fmt::Display) -> FilterError {
        FilterError::at(self.text, at, what)
    }
}
