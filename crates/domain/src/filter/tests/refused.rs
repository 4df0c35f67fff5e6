//! What is refused, and how that is told.

use super::*;

#[test]
fn refused_grammar() {
    let refused = [
        ("", "expected a field or a value, found the end, at character 1"),
        ("  ", "expected a field or a value, found the end, at character 3"),
        ("obj.name ==", "expected a field or a value, found the end, at character 12"),
        ("obj.name == 'a' &&", "expected a field or a value, found the end, at character 19"),
        ("(obj.name == 'a'", "expected `)`, found the end, at character 17"),
        ("obj.name == 'a')", "expected an operator or the end, found `)`, at character 16"),
        ("obj.name == 'a' obj.name", "expected an operator or the end, found `obj`, at character 17"),
        ("obj.name in ['a'", "expected `]`, found the end, at character 17"),
        ("obj.name in [,]", "expected a field or a value, found `,`, at character 14"),
        ("obj.name = 'a'", "`=` is not an operator (use `==`), at character 10"),
        ("obj.active & true", "`&` is not an operator (use `&&`), at character 12"),
        ("obj.active | true", "`|` is not an operator (use `||`), at character 12"),
        ("size(obj.name) + 1 > 2", "arithmetic is not supported: `+`, at character 16"),
        ("obj.active ? true : false", "the conditional operator is not supported: `?`, at character 12"),
        ("{'a': 1}", "maps and messages are not supported: `{`, at character 1"),
        ("obj.name[0] == 'a'", "indexing is not supported: `[`, at character 9"),
        ("obj.name.matches('a.*')", "regular expressions are not supported: matches(), at character 10"),
        ("obj.name.lowerAscii() == 'a'", "unsupported function: lowerAscii(), at character 10"),
        ("type(obj.name) == string", "unsupported function: type(), at character 1"),
        ("has(obj.name)", "unsupported function: has(), at character 1"),
        ("obj", "obj needs a field (obj.name), at character 1"),
        ("obj.startsWith('a')", "obj needs a field (obj.name), at character 1"),
        ("name == 'a'", "unknown name name (fields are written obj.name), at character 1"),
        (
            "obj.created_at > time.then",
            "unknown name (the instant of the request is written time.now), at character 18",
        ),
        ("obj.name.contains()", "contains() needs an argument, at character 10"),
        ("obj.name.contains('a', 'b')", "expected `)`, found `,`, at character 22"),
        ("obj.name == 'a'.b", "unsupported name: b, at character 17"),
        ("obj.name == 'a'.'b'", "expected a name after `.`, found a text, at character 17"),
        ("size(obj.name) == 1.5", "only whole decimal numbers of 64 bits are supported, at character 19"),
        ("size(obj.name) == 1u", "only whole decimal numbers of 64 bits are supported, at character 19"),
        (
            "size(obj.name) == 9223372036854775808",
            "only whole decimal numbers of 64 bits are supported, at character 19",
        ),
        ("obj.name == \u{1b}", "unexpected character '\\u{1b}', at character 13"),
        ("'é' == obj.name #", "unexpected character '#', at character 17"),
    ];
    for (filter, expected) in refused {
        assert_eq!(parse(filter), Err(expected.to_owned()), "{filter}");
    }
}

#[test]
fn refused_types() {
    let refused = [
        ("obj.name == 3", "cannot compare obj.name (text) with a number, at character 10"),
        ("obj.name", "expected a condition, found obj.name (text), at character 1"),
        ("!obj.name", "expected a condition, found obj.name (text), at character 2"),
        ("'a'", "expected a condition, found a text, at character 1"),
        ("obj.active && size(obj.name)", "expected a condition, found the size of obj.name, at character 15"),
        (
            "obj.created_at == obj.name",
            "cannot compare obj.created_at (time) with obj.name (text), at character 16",
        ),
        ("obj.created_at > 3", "cannot compare obj.created_at (time) with a number, at character 16"),
        (
            "obj.created_at > '2025-05-10Z'",
            "obj.created_at is compared with timestamp(\"…\"), not with a text, at character 16",
        ),
        (
            "obj.name == timestamp(time.now)",
            "cannot compare obj.name (text) with a timestamp, at character 10",
        ),
        ("obj.id == 3", "cannot compare obj.id (id) with a number, at character 8"),
        ("obj.id == obj.vault.id", "ids can be compared with texts only, at character 8"),
        ("obj.id < 'a'", "obj.id is ordered among ids, and the text is none, at character 8"),
        (
            "obj.id.startsWith('vault_')",
            "substring checks are not supported on obj.id (compare it with ==), at character 8",
        ),
        (
            "obj.created_at.contains('a')",
            "substring checks need a text field, not obj.created_at (time), at character 16",
        ),
        ("obj.name.contains(3)", "substring checks look for a text, not for a number, at character 10"),
        (
            "obj.name.contains(obj.metadata)",
            "substring checks look for a text, not for obj.metadata (text), at character 10",
        ),
        ("size(obj.id) > 0", "size() needs a text field, not obj.id (id), at character 1"),
        ("size(obj.name) == 'a'", "cannot compare the size of obj.name with a text, at character 16"),
        ("size(obj.name) == null", "cannot compare the size of obj.name with null, at character 16"),
        (
            "size(obj.name) == size(obj.metadata)",
            "cannot compare the size of obj.name with the size of obj.metadata, at character 16",
        ),
        ("obj.name < null", "null has no order, at character 10"),
        ("'a' == 'a'", "one side of a comparison must be a field, at character 5"),
        ("obj.active < true", "conditions have no order, at character 12"),
        ("obj.active == 'true'", "cannot compare a condition with a text, at character 12"),
        ("obj.active == !obj.active", "a condition can be compared with true or false only, at character 12"),
        ("'a' in obj.name", "`in` needs a list such as [\"a\", \"b\"], not obj.name (text), at character 5"),
        ("'a' in ['a']", "`in` looks for a field, not for a text, at character 5"),
        ("obj.name in ['a', 3]", "cannot compare obj.name (text) with a number, at character 10"),
        ("obj.name == ['a']", "cannot compare obj.name (text) with a list, at character 10"),
        (
            "obj.created_at > timestamp('yesterday')",
            "timestamp() needs a date and time such as \"2025-10-31T09:23:45-07:00\", at character 18",
        ),
        (
            "obj.created_at > timestamp(3)",
            "timestamp() needs a text or time.now, not a number, at character 18",
        ),
        (
            "obj.created_at.add('1h') > timestamp(time.now)",
            "only a timestamp(…) can be moved, not obj.created_at (time), at character 16",
        ),
        (
            "obj.created_at > timestamp(time.now).add(7)",
            "a span of time is a text such as \"24h\" or \"7d\", not a number, at character 38",
        ),
        (
            "obj.created_at > timestamp(time.now).add('9999999d')",
            "the instant is out of range, at character 38",
        ),
    ];
    for (filter, expected) in refused {
        assert_eq!(parse(filter), Err(expected.to_owned()), "{filter}");
    }
}

#[test]
fn instants_and_spans_that_are_none() {
    for text in [
        "",
        "2025-05-10",
        "2025-13-10Z",
        "2025-05-10T00:00:00",
        "2025-05-10 00:00:00Z",
        "2025-05-10T00:00Z",
        "2025-05-10T00:00:00.Z",
        "2025-05-10T00:00:00,5Z",
        "2025-05-10T00:00:00Z[UTC]",
        "20250510T000000Z",
        "2025-05-10T00:00:00+02",
        "2025-02-29T00:00:00Z",
        "+002025-05-10T00:00:00Z",
        "２025-05-10Z",
        "é",
    ] {
        assert!(parse(&format!("obj.created_at > timestamp('{text}')")).is_err(), "{text}");
    }
    let huge = "9".repeat(60);
    for span in ["", "7", "d", "7w", "-7d", "1.5h", "7 d", "7dd", "7d2", "7D", &format!("{huge}d")] {
        assert!(parse(&format!("obj.created_at > timestamp(time.now).add('{span}')")).is_err(), "{span}");
    }
}

#[test]
fn unsupported_fields_are_told_the_supported_ones() {
    static ONE: [Field; 1] = [Field { name: "id", kind: Kind::Id { decode: decode_id } }];
    static TWO: [Field; 2] = [ONE[0], Field { name: "created_at", kind: Kind::Time }];
    let refusal = |text: &str, fields: &'static [Field]| match Filter::parse(text, fields, now()) {
        Ok(filter) => format!("{filter:?}"),
        Err(error) => error.to_string(),
    };
    let expected = [
        (
            refusal("obj.a == 'a'", &[]),
            "unsupported field: obj.a (nothing here can be filtered), at character 1",
        ),
        (refusal("obj.a == 'a'", &ONE), "unsupported field: obj.a (must be obj.id), at character 1"),
        (
            refusal("true && obj.a.b", &TWO),
            "unsupported field: obj.a.b (must be obj.id or obj.created_at), at character 9",
        ),
        (
            refusal("obj.vault == 'a'", &FIELDS),
            "unsupported field: obj.vault (must be obj.id, obj.created_at, obj.updated_at, obj.name, obj.metadata, \
             obj.vault.id, obj.expires_at, or obj.active), at character 1",
        ),
        (
            refusal(&format!("obj.{}", "x".repeat(4000)), &ONE),
            "unsupported field: obj.xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx… (must be obj.id), at character 1",
        ),
    ];
    for (actual, expected) in expected {
        assert_eq!(actual, expected);
    }
}
