//! What is read, and as what.

use super::*;

#[test]
fn what_clients_send() {
    let accepted = [
        (r#"obj.name == "prod""#, name_is("prod")),
        (r#"obj.name == "a\"b\\c\t\u00e9\x7f""#, name_is("a\"b\\c\té\u{7f}")),
        (
            r#"obj.name == "a" || obj.metadata != """#,
            Expr::Or(vec![
                name_is("a"),
                Expr::Text { field: "metadata", op: Compare::Ne, value: String::new() },
            ]),
        ),
        (r#"(obj.name == null || obj.name == "")"#, Expr::Or(vec![name_is(""), name_is("")])),
        (r#"obj.created_at < timestamp("2025-10-31T09:23:45-07:00")"#, created(Compare::Lt, 1_761_927_825)),
        (r#"obj.created_at > timestamp(time.now).subtract("7d")"#, created(Compare::Gt, NOW - 7 * 86_400)),
        (
            r#"obj.name in ["foo.com","bar.com"] || (obj.created_at < timestamp("2025-05-10Z") && obj.name.contains("cowbell"))"#,
            Expr::Or(vec![
                Expr::TextIn { field: "name", values: vec!["foo.com".to_owned(), "bar.com".to_owned()] },
                Expr::And(vec![created(Compare::Lt, 1_746_835_200), part(Part::Anywhere, "cowbell")]),
            ]),
        ),
    ];
    for (filter, expected) in accepted {
        assert_eq!(parse(filter), Ok(expected), "{filter}");
    }
}

#[test]
fn logic() {
    let (a, b, c) = (name_is("a"), name_is("b"), name_is("c"));
    let accepted = [
        (
            "obj.name=='a'||obj.name=='b'&&obj.name=='c'",
            Expr::Or(vec![a.clone(), Expr::And(vec![b.clone(), c.clone()])]),
        ),
        (
            "(obj.name=='a'||obj.name=='b')&&obj.name=='c'",
            Expr::And(vec![Expr::Or(vec![a.clone(), b.clone()]), c.clone()]),
        ),
        ("(obj.name=='a'&&obj.name=='b')&&obj.name=='c'", Expr::And(vec![a.clone(), b.clone(), c])),
        ("!(obj.name == 'a')", not(a.clone())),
        ("!!(obj.name == 'a')", a.clone()),
        ("!obj.active", not(Expr::Flag("active"))),
        ("obj.active == true", Expr::Flag("active")),
        ("false == obj.active", not(Expr::Flag("active"))),
        ("obj.active != true", not(Expr::Flag("active"))),
        ("obj.name == 'a' == true", a.clone()),
        ("true", Expr::Const(true)),
        ("!true", Expr::Const(false)),
        ("true && obj.active", Expr::Flag("active")),
        ("false || obj.active", Expr::Flag("active")),
        ("false && obj.active", Expr::Const(false)),
        ("obj.active || true", Expr::Const(true)),
        (" \t\r\n\x0cobj . name\n==\t'a'\n", a.clone()),
        ("((obj.name)) == (('a'))", a),
    ];
    for (filter, expected) in accepted {
        assert_eq!(parse(filter), Ok(expected), "{filter}");
    }
}

#[test]
fn texts_ids_and_sizes() {
    let accepted = [
        ("'a' == obj.name", name_is("a")),
        ("'a' < obj.name", text(Compare::Gt, "a")),
        ("'a' <= obj.name", text(Compare::Ge, "a")),
        ("'a' > obj.name", text(Compare::Lt, "a")),
        ("obj.name >= 'a'", text(Compare::Ge, "a")),
        ("null != obj.name", text(Compare::Ne, "")),
        ("obj.name != obj.metadata", Expr::Fields { left: "name", op: Compare::Ne, right: "metadata" }),
        ("obj.name in []", Expr::Const(false)),
        ("obj.name in ['a']", name_is("a")),
        ("obj.name in ['a', null,]", Expr::TextIn { field: "name", values: vec!["a".into(), String::new()] }),
        ("!(obj.name in ['a'])", not(name_is("a"))),
        ("obj.name.startsWith('a')", part(Part::Start, "a")),
        ("obj.name.endsWith('a%')", part(Part::End, "a%")),
        ("obj.name.contains('')", Expr::Const(true)),
        ("obj.name.contains('a\\000')", Expr::Const(false)),
        ("size(obj.name) > 0", size(Compare::Gt, 0)),
        ("obj.name.size() == 3", size(Compare::Eq, 3)),
        ("-1 < obj.name.size()", size(Compare::Gt, -1)),
        ("size(obj.name) in [1, 2]", Expr::Or(vec![size(Compare::Eq, 1), size(Compare::Eq, 2)])),
        // Stored text holds no NUL, so these can be told without one.
        (r"obj.name == 'a\x00b'", Expr::Const(false)),
        (r"obj.name != 'a\000b'", Expr::Const(true)),
        (r"obj.name < 'a\u0000b'", text(Compare::Le, "a")),
        (r"obj.name <= 'a\u0000b'", text(Compare::Le, "a")),
        (r"obj.name > 'a\u0000b'", text(Compare::Gt, "a")),
        (r"obj.name >= 'a\u0000b'", text(Compare::Gt, "a")),
        ("obj.id == 'vault_a'", id("id", Compare::Eq, "a")),
        ("'vault_a' > obj.vault.id", id("vault.id", Compare::Lt, "a")),
        ("obj.id == 'a'", Expr::Const(false)),
        ("obj.id != 'a'", Expr::Const(true)),
        ("obj.id == null", Expr::Const(false)),
        ("obj.created_at != null", Expr::Const(true)),
        ("obj.expires_at == null", Expr::Time { field: "expires_at", op: Compare::Eq, second: i64::MAX }),
        ("null != obj.expires_at", Expr::Time { field: "expires_at", op: Compare::Ne, second: i64::MAX }),
        (
            "obj.expires_at < obj.created_at",
            Expr::Fields { left: "expires_at", op: Compare::Lt, right: "created_at" },
        ),
        ("obj.id in ['vault_a', 'a']", id("id", Compare::Eq, "a")),
        (
            "obj.id in ['vault_a', 'vault_b']",
            Expr::IdIn { field: "id", values: vec![b"a".to_vec(), b"b".to_vec()] },
        ),
    ];
    for (filter, expected) in accepted {
        assert_eq!(parse(filter), Ok(expected), "{filter}");
    }
}

#[test]
fn instants() {
    let at = |op, second| Ok(created(op, second));
    let accepted = [
        ("obj.created_at >= timestamp('2025-05-10Z')", at(Compare::Ge, 1_746_835_200)),
        ("obj.created_at >= timestamp('2025-05-10z')", at(Compare::Ge, 1_746_835_200)),
        ("timestamp('2025-05-10T02:00:00+02:00') == obj.created_at", at(Compare::Eq, 1_746_835_200)),
        ("obj.created_at == timestamp('1969-12-31T23:59:59Z')", at(Compare::Eq, -1)),
        // An instant between two seconds.
        ("obj.created_at < timestamp('1970-01-01T00:00:05.5Z')", at(Compare::Le, 5)),
        ("obj.created_at <= timestamp('1970-01-01T00:00:05.5Z')", at(Compare::Le, 5)),
        ("obj.created_at > timestamp('1970-01-01T00:00:05.5Z')", at(Compare::Gt, 5)),
        ("obj.created_at >= timestamp('1970-01-01T00:00:05.000000001Z')", at(Compare::Gt, 5)),
        ("obj.created_at > timestamp('1969-12-31T23:59:58.5Z')", at(Compare::Gt, -2)),
        ("obj.created_at == timestamp('1970-01-01T00:00:05.5Z')", Ok(Expr::Const(false))),
        ("obj.created_at != timestamp('1970-01-01T00:00:05.5Z')", Ok(Expr::Const(true))),
        ("obj.created_at < timestamp(time.now)", at(Compare::Le, NOW)),
        ("obj.created_at < timestamp(time.now).add('750ms')", at(Compare::Lt, NOW + 1)),
        ("obj.created_at > timestamp(time.now).add('1d2h3m4s')", at(Compare::Gt, NOW + 93_784)),
        ("obj.created_at > timestamp(time.now).add('24h').subtract('1440m')", at(Compare::Gt, NOW)),
        (
            "obj.created_at < obj.updated_at",
            Ok(Expr::Fields { left: "created_at", op: Compare::Lt, right: "updated_at" }),
        ),
        (
            "obj.created_at in [timestamp('1970-01-01Z'), null, timestamp('1970-01-02Z')]",
            Ok(Expr::Or(vec![created(Compare::Eq, 0), created(Compare::Eq, 86_400)])),
        ),
    ];
    for (filter, expected) in accepted {
        assert_eq!(parse(filter), expected, "{filter}");
    }
}

#[test]
fn literals() {
    let accepted = [
        (r#""\a\b\f\n\r\t\v\\\"\'\?\`""#, "\u{7}\u{8}\u{c}\n\r\t\u{b}\\\"'?`"),
        (r#""\x41\X41\u0041\U00000041\101""#, "AAAAA"),
        (r#""\xff\377""#, "ÿÿ"),
        (r#""\U0001F600""#, "😀"),
        (r#"'say "hi"'"#, "say \"hi\""),
        (r#""it's""#, "it's"),
        (r#"r"a\n""#, r"a\n"),
        (r#"R'"\'"#, r#""\"#),
        (r#""é😀""#, "é😀"),
        (r#""""#, ""),
    ];
    for (literal, expected) in accepted {
        assert_eq!(parse(&format!("obj.name == {literal}")), Ok(name_is(expected)), "{literal}");
    }
    let refused = [
        (r#""abc"#, "this text has no closing quote, at character 13"),
        (r#""abc\"#, "unknown escape sequence, at character 17"),
        ("'a\nb'", "a line break in a text must be written `\\n`, at character 15"),
        (r#""é\q""#, "unknown escape sequence, at character 15"),
        (r#""\477""#, "unknown escape sequence, at character 14"),
        (r#""\18""#, "the escape sequence needs 3 digits, at character 14"),
        (r#""\x4""#, "the escape sequence needs 2 digits, at character 14"),
        (r#""\u004""#, "the escape sequence needs 4 digits, at character 14"),
        (r#""\ud800""#, "the escape sequence is no Unicode character, at character 14"),
        (r#""\U00110000""#, "the escape sequence is no Unicode character, at character 14"),
        (r#""\UFFFFFFFF""#, "the escape sequence is no Unicode character, at character 14"),
    ];
    for (literal, expected) in refused {
        assert_eq!(parse(&format!("obj.name == {literal}")), Err(expected.to_owned()), "{literal}");
    }
}

#[test]
fn required_equal() {
    let expected = [
        ("obj.name == 'a'", Some("a")),
        ("'a' == obj.name", Some("a")),
        ("obj.name in ['a']", Some("a")),
        ("obj.name == null", Some("")),
        ("obj.active && (obj.metadata == 'm' && obj.name == 'a')", Some("a")),
        ("(obj.name == 'a') == true", Some("a")),
        ("obj.metadata == 'a'", None),
        ("obj.name != 'a'", None),
        ("!(obj.name == 'a')", None),
        ("obj.name == 'a' || obj.active", None),
        ("obj.name in ['a', 'b']", None),
        ("true", None),
    ];
    for (filter, expected) in expected {
        let parsed = Filter::parse(filter, &FIELDS, now());
        assert_eq!(parsed.as_ref().map(|filter| filter.required_equal("name")), Ok(expected), "{filter}");
    }
}
