//! List filters, compiled to SQL and run by SQLite, against an independent implementation of CEL.
//!
//! Random expressions of the subset meet random objects. What both sides accept must come out the same for every
//! object. Differences that are meant, and how they are kept out:
//!
//! * To us null equals the empty text, to CEL it does not: the oracle is given `""` where we read `null`.
//! * The oracle is built without timestamps: it is given whole numbers of nanoseconds instead, and so are its objects.
//! * Never is a time to us, later than all others, and null stands for it there: the oracle is given the largest number for both.
//!   What a mutation makes of a null that is or could be that one is not compared.
//! * We refuse to order ids against a text that is no id; such expressions are not generated.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::cell::Cell;
use std::collections::{BTreeSet, HashMap};
use std::panic::{AssertUnwindSafe, catch_unwind};

use jiff::Timestamp;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use proptest::test_runner::{Config, TestRunner};
use rusqlite::{Connection, params, params_from_iter, types};
use strongroom_domain::filter::{self, Field, Filter, Kind};
use strongroom_store::filter_sql::{Value, compile};

static FIELDS: [Field; 8] = [
    Field { name: "name", kind: Kind::Text },
    Field { name: "metadata", kind: Kind::Text },
    Field { name: "id", kind: Kind::Id { decode } },
    Field { name: "vault.id", kind: Kind::Id { decode } },
    Field { name: "created_at", kind: Kind::Time },
    Field { name: "updated_at", kind: Kind::Time },
    Field { name: "expires_at", kind: Kind::End },
    Field { name: "active", kind: Kind::Bool },
];

fn decode(text: &str) -> Option<Vec<u8>> {
    let hex = text.strip_prefix("id_")?;
    let lower = hex.len() == 2 && hex.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    if lower { Some(vec![u8::from_str_radix(hex, 16).ok()?]) } else { None }
}

fn encode(id: u8) -> String {
    format!("id_{id:02x}")
}

fn column(field: &str) -> &'static str {
    match field {
        "name" => "t.name",
        "metadata" => "t.metadata",
        "id" => "t.id",
        "vault.id" => "t.vault_id",
        "created_at" => "t.created_at",
        "updated_at" => "t.updated_at",
        "expires_at" => "coalesce(t.expires_at, 9223372036854775807)",
        _ => "t.active",
    }
}

const CASES: u32 = 4_000;
const NANOS: i64 = 1_000_000_000;
/// In nanoseconds since 1970; between two seconds, and near the seconds that objects have.
const NOW: i64 = 2_250_000_000;

fn instant(nanos: i64) -> Timestamp {
    Timestamp::from_nanosecond(nanos.into()).unwrap()
}

#[derive(Debug, Clone)]
struct Object {
    name: String,
    metadata: String,
    id: u8,
    vault_id: u8,
    created_at: i64,
    updated_at: i64,
    expires_at: Option<i64>,
    active: bool,
}

impl Object {
    fn value(&self, field: &str) -> filter::Value<'_> {
        match field {
            "name" => filter::Value::Text(&self.name),
            "metadata" => filter::Value::Text(&self.metadata),
            "id" => filter::Value::Id(vec![self.id]),
            "vault.id" => filter::Value::Id(vec![self.vault_id]),
            "created_at" => filter::Value::Time(self.created_at),
            "updated_at" => filter::Value::Time(self.updated_at),
            "expires_at" => filter::Value::Time(self.expires_at.unwrap_or(filter::NEVER)),
            _ => filter::Value::Bool(self.active),
        }
    }

    fn cel(&self) -> cel::Value {
        let vault = HashMap::from([("id", cel::Value::from(encode(self.vault_id)))]);
        HashMap::from([
            ("name", self.name.as_str().into()),
            ("metadata", self.metadata.as_str().into()),
            ("id", encode(self.id).into()),
            ("vault", vault.into()),
            ("created_at", cel::Value::Int(self.created_at * NANOS)),
            ("updated_at", cel::Value::Int(self.updated_at * NANOS)),
            ("expires_at", cel::Value::Int(self.expires_at.map_or(i64::MAX, |at| at * NANOS))),
            ("active", cel::Value::Bool(self.active)),
        ])
        .into()
    }
}

/// A SQLite table of objects, keyed by their place.
struct Table(Connection);

impl Table {
    fn new() -> Self {
        let connection = Connection::open_in_memory().unwrap();
        let create = "CREATE TABLE t (place INTEGER PRIMARY KEY, name TEXT NOT NULL, metadata TEXT NOT NULL, \
                      id BLOB NOT NULL, vault_id BLOB NOT NULL, created_at INTEGER NOT NULL, \
                      updated_at INTEGER NOT NULL, expires_at INTEGER, active INTEGER NOT NULL) STRICT";
        connection.execute_batch(create).unwrap();
        Self(connection)
    }

    fn fill(&self, objects: &[Object]) {
        self.0.execute("DELETE FROM t", []).unwrap();
        let mut insert = self.0.prepare_cached("INSERT INTO t VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)").unwrap();
        for (place, object) in objects.iter().enumerate() {
            let place = i64::try_from(place).unwrap();
            let (id, vault_id) = ([object.id], [object.vault_id]);
            insert
                .execute(params![
                    place,
                    object.name,
                    object.metadata,
                    id,
                    vault_id,
                    object.created_at,
                    object.updated_at,
                    object.expires_at,
                    object.active
                ])
                .unwrap();
        }
    }

    /// The places of the objects that pass.
    fn passing(&self, filter: &Filter) -> BTreeSet<usize> {
        let fragment = compile(filter, &column);
        assert_eq!(fragment.sql.matches('?').count(), fragment.params.len(), "{}", fragment.sql);
        // With something on either side, to catch a fragment that would need parentheses.
        let sql = format!("SELECT place FROM t WHERE 1 = 1 AND {} AND 1 = 1", fragment.sql);
        let mut select = self.0.prepare(&sql).unwrap();
        let places = select
            .query_map(params_from_iter(fragment.params.into_iter().map(types::Value::from)), |row| {
                row.get::<_, i64>(0)
            })
            .unwrap();
        places.map(|place| usize::try_from(place.unwrap()).unwrap()).collect()
    }
}

/// A token as we are given it and as the oracle is.
#[derive(Debug, Clone)]
struct Token {
    ours: String,
    oracle: String,
}

type Tokens = Vec<Token>;

fn token(text: impl Into<String>) -> Token {
    let ours = text.into();
    Token { oracle: ours.clone(), ours }
}

fn tokens(texts: &[&str]) -> Tokens {
    texts.iter().copied().map(token).collect()
}

fn joined<'a>(parts: impl Iterator<Item = &'a str>) -> String {
    parts.collect::<Vec<_>>().join(" ")
}

/// Few characters, so that texts often meet; with wildcards, quotes, several cases and lengths in UTF-8, and characters
/// that UTF-16 would order differently.
const CHARS: &[char] = &[
    'a',
    'a',
    'a',
    'b',
    'b',
    'A',
    'B',
    'e',
    'é',
    'É',
    '\u{301}',
    'ß',
    '😀',
    '\u{ffff}',
    '\u{10000}',
    '%',
    '_',
    '*',
    '?',
    '[',
    ']',
    '\\',
    '"',
    '\'',
    '`',
    ' ',
    '\n',
    '\t',
    '\u{7f}',
    '1',
];

fn stored_text() -> impl Strategy<Value = String> {
    vec(select(CHARS), 0..4).prop_map(String::from_iter)
}

/// Mostly what may be stored, now and then with a NUL, which may not.
fn sought_text() -> impl Strategy<Value = String> {
    let char = prop_oneof![40 => select(CHARS), 1 => Just('\0')];
    vec(char, 0..3).prop_map(String::from_iter)
}

/// The literal of `value` in one of several styles.
fn quoted(value: &str, style: u8) -> String {
    let quote = if style == 1 { '\'' } else { '"' };
    let raw = style == 2 && !value.contains(['"', '\n', '\0']);
    if raw {
        return format!("r\"{value}\"");
    }
    let mut literal = String::from(quote);
    for char in value.chars() {
        let code = u32::from(char);
        literal.push_str(&match (style, char) {
            (3, _) if code <= 0xffff => format!("\\u{code:04x}"),
            (3, _) => format!("\\U{code:08X}"),
            (4, _) if code <= 0xff => format!("\\{code:03o}"),
            (_, '\n') => "\\n".to_owned(),
            (_, '\\') => "\\\\".to_owned(),
            _ if char == quote => format!("\\{char}"),
            _ if char.is_control() => format!("\\x{code:02x}"),
            _ => char.to_string(),
        });
    }
    literal.push(quote);
    literal
}

fn text_literal() -> impl Strategy<Value = Token> {
    let null = Token { ours: "null".to_owned(), oracle: "\"\"".to_owned() };
    prop_oneof![
        15 => (sought_text(), 0_u8..5).prop_map(|(value, style)| token(quoted(&value, style))),
        1 => Just(null),
    ]
}

fn substring_literal() -> impl Strategy<Value = Token> {
    (sought_text(), 0_u8..5).prop_map(|(value, style)| token(quoted(&value, style)))
}

fn id_literal() -> impl Strategy<Value = Token> {
    (0_u8..5, 0_u8..5).prop_map(|(id, style)| token(quoted(&encode(id * 63), style)))
}

/// An id or something else that an id field may be found equal to or not.
fn any_id_literal() -> impl Strategy<Value = Token> {
    prop_oneof![
        3 => id_literal(),
        1 => select(&["", "id_", "id_FC", "id_000", "other"][..]).prop_map(|text| token(quoted(text, 0))),
        1 => Just(token("null")),
    ]
}

fn time_literal() -> impl Strategy<Value = Token> {
    let fraction = select(&[0, 0, 1, NANOS / 2, NANOS - 1][..]);
    let offset = select(&[("Z", 0), ("+02:00", 7_200), ("-07:30", -27_000)][..]);
    let written = (-4_i64..5, fraction, offset).prop_map(|(second, fraction, (offset, shift))| {
        let nanos = second * NANOS + fraction;
        let local = instant(nanos + shift * NANOS).to_string();
        (format!("timestamp(\"{}{offset}\")", local.trim_end_matches('Z')), nanos)
    });
    let now = Just(("timestamp(time.now)".to_owned(), NOW));
    let span = select(
        &[
            ("", 0),
            (".add(\"1s\")", NANOS),
            (".subtract(\"1m58s250ms\")", -118_250_000_000),
            (".add(\"2m\")", 120 * NANOS),
        ][..],
    );
    (prop_oneof![3 => written, 1 => now], vec(span, 0..3)).prop_map(|((mut ours, mut nanos), spans)| {
        for (call, moved) in spans {
            ours.push_str(call);
            nanos += moved;
        }
        Token { ours, oracle: format!("({nanos})") }
    })
}

fn never() -> Token {
    Token { ours: "null".to_owned(), oracle: i64::MAX.to_string() }
}

fn number() -> impl Strategy<Value = Token> {
    (-1_i64..5).prop_map(|number| token(number.to_string()))
}

fn equality() -> impl Strategy<Value = &'static str> {
    select(&["==", "!="][..])
}

fn comparison() -> impl Strategy<Value = &'static str> {
    select(&["==", "!=", "<", "<=", ">", ">="][..])
}

/// `field op literal` or `literal op field`.
fn compared(
    field: impl Strategy<Value = &'static str>,
    op: impl Strategy<Value = &'static str>,
    literal: impl Strategy<Value = Token>,
) -> impl Strategy<Value = Tokens> {
    (field, op, literal, any::<bool>()).prop_map(|(field, op, literal, field_first)| {
        let mut tokens = vec![token(field), token(op), literal];
        // No order is asked of null, nor of what is no id.
        if tokens[2].ours == "null" && tokens[1].ours.starts_with(['<', '>']) {
            tokens[1] = token("==");
        }
        if !field_first {
            tokens.reverse();
        }
        tokens
    })
}

fn listed(
    field: impl Strategy<Value = &'static str>,
    literal: impl Strategy<Value = Token>,
) -> impl Strategy<Value = Tokens> {
    (field, vec(literal, 0..4)).prop_map(|(field, literals)| {
        let mut list = tokens(&[field, "in", "["]);
        for (index, literal) in literals.into_iter().enumerate() {
            if index > 0 {
                list.push(token(","));
            }
            list.push(literal);
        }
        list.push(token("]"));
        list
    })
}

fn term() -> impl Strategy<Value = Tokens> {
    let text = || select(&["obj.name", "obj.metadata"][..]);
    let id = || select(&["obj.id", "obj.vault.id"][..]);
    let time = || select(&["obj.created_at", "obj.updated_at", "obj.expires_at"][..]);
    let end = || Just("obj.expires_at");
    let size = || select(&["size(obj.name)", "obj.metadata.size()"][..]);
    let method = select(&["startsWith", "contains", "endsWith"][..]);
    prop_oneof![
        4 => compared(text(), comparison(), text_literal()),
        2 => listed(text(), text_literal()),
        4 => (text(), method, substring_literal()).prop_map(|(field, method, literal)| {
            vec![token(format!("{field}.{method}")), token("("), literal, token(")")]
        }),
        2 => compared(size(), comparison(), number()),
        1 => listed(size(), number()),
        2 => compared(id(), equality(), any_id_literal()),
        1 => compared(id(), comparison(), id_literal()),
        1 => listed(id(), any_id_literal()),
        4 => compared(time(), comparison(), time_literal()),
        1 => listed(time(), time_literal()),
        1 => compared(end(), equality(), Just(never())),
        1 => listed(end(), prop_oneof![time_literal(), Just(never())]),
        1 => (text(), comparison(), text()).prop_map(|(left, op, right)| tokens(&[left, op, right])),
        1 => (time(), comparison(), time()).prop_map(|(left, op, right)| tokens(&[left, op, right])),
        1 => compared(Just("obj.active"), equality(), select(&["true", "false"][..]).prop_map(token)),
        1 => select(&["obj.active", "true", "false"][..]).prop_map(|word| tokens(&[word])),
    ]
}

/// Small, because the oracle aborts on what is deep or long.
fn expression() -> impl Strategy<Value = Tokens> {
    term().prop_recursive(3, 8, 2, |inner| {
        prop_oneof![
            1 => inner.clone().prop_map(|inner| [tokens(&["!", "("]), inner, tokens(&[")"])].concat()),
            1 => inner.clone().prop_map(|inner| [tokens(&["("]), inner, tokens(&[")"])].concat()),
            4 => (inner.clone(), select(&["&&", "||"][..]), inner)
                .prop_map(|(left, op, right)| [left, tokens(&[op]), right].concat()),
        ]
    })
}

/// A change that may make an expression ill-formed or ill-typed, or another one.
#[derive(Debug, Clone)]
enum Mutation {
    None,
    Remove(prop::sample::Index),
    Double(prop::sample::Index),
    Swap(prop::sample::Index, prop::sample::Index),
    Insert(prop::sample::Index, &'static str),
}

fn mutation() -> impl Strategy<Value = Mutation> {
    let index = any::<prop::sample::Index>;
    let pieces =
        select(&["!", "(", ")", "&&", "==", "true", "'a'", "3", "obj.name", "obj.id", ",", "in"][..]);
    prop_oneof![
        12 => Just(Mutation::None),
        1 => index().prop_map(Mutation::Remove),
        1 => index().prop_map(Mutation::Double),
        1 => (index(), index()).prop_map(|(left, right)| Mutation::Swap(left, right)),
        1 => (index(), pieces).prop_map(|(at, piece)| Mutation::Insert(at, piece)),
    ]
}

fn mutated(mut tokens: Tokens, mutation: &Mutation) -> Tokens {
    let length = tokens.len();
    match mutation {
        Mutation::None => {}
        Mutation::Remove(at) => drop(tokens.remove(at.index(length))),
        Mutation::Double(at) => tokens.insert(at.index(length), tokens[at.index(length)].clone()),
        Mutation::Swap(left, right) => tokens.swap(left.index(length), right.index(length)),
        Mutation::Insert(at, piece) => tokens.insert(at.index(length), token(*piece)),
    }
    tokens
}

fn object() -> impl Strategy<Value = Object> {
    let time = || -4_i64..5;
    let end = proptest::option::of(time());
    (stored_text(), stored_text(), 0_u8..5, 0_u8..5, time(), time(), end, any::<bool>()).prop_map(
        |(name, metadata, id, vault_id, created_at, updated_at, expires_at, active)| Object {
            name,
            metadata,
            id: id * 63,
            vault_id: vault_id * 63,
            created_at,
            updated_at,
            expires_at,
            active,
        },
    )
}

/// What the oracle says of `object`; `None` when it does not accept the expression.
fn verdict(program: &cel::Program, object: &Object) -> Option<bool> {
    let mut context = cel::Context::default();
    context.add_variable_from_value("obj", object.cel());
    match program.execute(&context) {
        Ok(cel::Value::Bool(passes)) => Some(passes),
        _ => None,
    }
}

/// How much was really compared.
#[derive(Debug, Default)]
struct Counts {
    expressions: Cell<u32>,
    compared: Cell<u32>,
    passed: Cell<u32>,
    failed: Cell<u32>,
    mutated_compared: Cell<u32>,
}

fn count(counter: &Cell<u32>) {
    counter.set(counter.get() + 1);
}

#[test]
fn agrees_with_cel() {
    let table = Table::new();
    let counts = Counts::default();
    let mut runner = TestRunner::new(Config { cases: CASES, failure_persistence: None, ..Config::default() });
    let case = (expression(), mutation(), vec(object(), 6));
    let outcome = runner.run(&case, |(expression, mutation, objects)| {
        count(&counts.expressions);
        let tokens = mutated(expression, &mutation);
        let ours = joined(tokens.iter().map(|token| token.ours.as_str()));
        let oracle = joined(tokens.iter().map(|token| token.oracle.as_str()));
        let filter = match Filter::parse(&ours, &FIELDS, instant(NOW)) {
            Ok(filter) => filter,
            Err(error) => {
                // All that is generated is of the subset until a mutation spoils it.
                prop_assert!(!matches!(mutation, Mutation::None), "{ours}: {error}");
                return Ok(());
            }
        };
        table.fill(&objects);
        let passing = table.passing(&filter);
        for (place, object) in objects.iter().enumerate() {
            let held = filter.holds(&|field| object.value(field));
            prop_assert_eq!(passing.contains(&place), held, "{} in memory on {:?}", ours, object);
        }
        let is_whole = matches!(mutation, Mutation::None);
        let knows_never = ours.contains("expires_at") || oracle.contains(&never().oracle);
        if !is_whole && ours.contains("null") && knows_never {
            return Ok(());
        }
        let Ok(Ok(program)) = catch_unwind(AssertUnwindSafe(|| cel::Program::compile(&oracle))) else {
            return Ok(());
        };
        let verdicts: Vec<_> = objects.iter().map(|object| verdict(&program, object)).collect();
        for (place, verdict) in verdicts.iter().enumerate() {
            let Some(passes) = verdict else { continue };
            count(if *passes { &counts.passed } else { &counts.failed });
            prop_assert_eq!(passing.contains(&place), *passes, "{} on {:?}", ours, objects[place]);
        }
        if verdicts.iter().all(Option::is_some) {
            count(if is_whole { &counts.compared } else { &counts.mutated_compared });
        }
        Ok(())
    });
    outcome.unwrap_or_else(|error| panic!("{error}"));
    // Three quarters are not mutated. Nearly all of those must have been compared, with both outcomes.
    assert!(counts.compared.get() * 10 >= counts.expressions.get() * 6, "{counts:?}");
    assert!(counts.mutated_compared.get() > CASES / 100, "{counts:?}");
    assert!(counts.passed.get().min(counts.failed.get()) > CASES, "{counts:?}");
}

fn named(name: &str) -> Object {
    Object {
        name: name.to_owned(),
        metadata: String::new(),
        id: 0,
        vault_id: 0,
        created_at: 0,
        updated_at: 0,
        expires_at: None,
        active: true,
    }
}

/// Whether an object named `name` passes `filter`.
fn passes(name: &str, filter: &str) -> bool {
    let table = Table::new();
    table.fill(&[named(name)]);
    let filter = Filter::parse(filter, &FIELDS, instant(NOW)).unwrap();
    !table.passing(&filter).is_empty()
}

#[test]
fn null_equals_the_empty_text() {
    let table = [
        ("", "obj.name == null", true),
        ("", "obj.name != null", false),
        ("", "obj.name in [null]", true),
        ("a", "obj.name == null", false),
        ("a", "null != obj.name", true),
        ("a", "obj.id == null || obj.created_at == null", false),
        ("a", "obj.id != null && obj.created_at != null", true),
        ("a", "obj.expires_at == null && !(obj.expires_at < timestamp('9999-01-01Z'))", true),
        ("a", "obj.expires_at in [null]", true),
        ("a", "obj.expires_at != null || obj.expires_at <= obj.created_at", false),
    ];
    for (name, filter, expected) in table {
        assert_eq!(passes(name, filter), expected, "{name:?} {filter}");
    }
}

#[test]
fn substrings_are_exact() {
    let table = [
        ("prod", "obj.name.startsWith('prod')", true),
        ("prod", "obj.name.startsWith('Prod')", false),
        ("prod", "obj.name.startsWith('production')", false),
        ("prod", "obj.name.endsWith('')", true),
        ("", "obj.name.contains('')", true),
        ("", "obj.name.endsWith('a')", false),
        // Shorter than what is sought, and equal to the start of it.
        ("od", "obj.name.endsWith('prod')", false),
        ("😀é", "obj.name.endsWith('é')", true),
        ("😀é", "obj.name.startsWith('😀')", true),
        ("axb", "obj.name.contains('a%b') || obj.name.contains('a_b')", false),
        ("a%b", "obj.name.contains('%')", true),
        ("É", "obj.name.contains('é')", false),
        ("aaa", "obj.name.contains('aa')", true),
        ("a😀", "size(obj.name) == 2", true),
    ];
    for (name, filter, expected) in table {
        assert_eq!(passes(name, filter), expected, "{name:?} {filter}");
    }
}

#[test]
fn every_value_is_bound() {
    let filter = r#"!(obj.name in ["x' OR 1=1", "y"]) && (obj.vault.id == "id_00" || size(obj.name) < 7)
        && obj.metadata.endsWith("z") && obj.created_at >= timestamp("1970-01-01Z") && obj.name <= obj.metadata"#;
    let filter = Filter::parse(filter, &FIELDS, instant(NOW)).unwrap();
    let fragment = compile(&filter, &column);
    assert_eq!(
        fragment.sql,
        "(NOT t.name IN (?, ?) AND (t.vault_id = ? OR length(t.name) < ?) AND \
         substr(t.metadata, length(t.metadata) + 1 - CAST(? AS INTEGER)) = ? AND t.created_at >= ? AND t.name <= t.metadata)"
    );
    let text = |value: &str| Value::Text(value.to_owned());
    let expected = [
        text("x' OR 1=1"),
        text("y"),
        Value::Bytes(vec![0]),
        Value::Int(7),
        Value::Int(1),
        text("z"),
        Value::Int(0),
    ];
    assert_eq!(fragment.params, expected);
}

#[test]
fn the_largest_filters_run() {
    let nested = format!("{}obj.active{}", "!(".repeat(16), ")".repeat(16));
    let wide = vec!["obj.name.endsWith('b')"; 100].join(" || ");
    let listed = format!("obj.name in [{}]", vec!["'b'"; 100].join(", "));
    for (filter, expected) in [(nested, true), (wide, false), (listed, false)] {
        assert_eq!(passes("a", &filter), expected, "{filter}");
    }
}
