#![allow(clippy::unwrap_used)]

use granit_parser::{Event, Parser};
use proptest::prelude::{Strategy, any, prop_assert_eq, prop_oneof, proptest};

use super::{Format, RenderError, SIZE_MAX, Template};

fn rendered(format: Format, text: &str, value: &str) -> String {
    let template =
        Template::parse(text.to_owned(), format).unwrap_or_else(|error| panic!("{error} in {text}"));
    let rendered = template.render(|_, _| Some(value));
    rendered.unwrap_or_else(|error| panic!("{error} in {text}")).expose_secret().to_owned()
}

fn text(text: &str) -> String {
    rendered(Format::Text, text, "VALUE")
}

fn refused(format: Format, text: &str) -> String {
    Template::parse(text.to_owned(), format).err().unwrap_or_else(|| panic!("{text} was taken")).to_string()
}

/// The scalars of a YAML text, as another program loads them.
fn scalars(text: &str) -> Vec<String> {
    let events =
        Parser::new_from_str(text).map(|event| event.unwrap_or_else(|error| panic!("{error}: {text}")).0);
    let scalar = |event| if let Event::Scalar(text, ..) = event { Some(text.into_owned()) } else { None };
    events.filter_map(scalar).collect()
}

/// Values that break a document when they are put into it as they are.
const AWKWARD: &[&str] = &[
    "plain",
    "it's",
    "say \"hi\"",
    "a\nb\n",
    "-----BEGIN KEY-----\nMIIB\n-----END KEY-----\n",
    "back\\slash\\n",
    "# no comment",
    "a: b",
    "*alias",
    "&anchor",
    "!tag",
    "- item",
    " spaces ",
    "\ttab\r\n",
    "",
    "null",
    "0123",
    "%d",
    "@x",
    "`",
    "{a}, [b]",
    "|",
    "--- x",
    "...",
    "\u{85}\u{2028}\u{feff}\u{7f}",
    "\0\u{1b}",
    "${secrets.get('a','b')}",
    "é😀",
];

#[test]
fn a_macro_is_found_however_it_is_written() {
    for written in [
        "${secrets.get('prod','db')}",
        "${secrets.get(\"prod\", 'db')}",
        "${ secrets . get ( \"prod\" , 'db' ) }",
        "${\n\tsecrets.get(\n'prod',\n'db'\n)\n}",
        r"${secrets.get('pr\x6fd', '\144b')}",
        r#"${secrets.get("\u0070rod", "\U00000064b")}"#,
    ] {
        let template = Template::parse(format!("<{written}>"), Format::Text).unwrap();
        let references: Vec<_> = template.references().iter().map(ToString::to_string).collect();
        assert_eq!(references, ["prod:db"], "{written}");
        assert_eq!(text(&format!("<{written}{written}>")), "<VALUEVALUE>");
    }
}

#[test]
fn references_come_once_and_in_order() {
    let template = "${secrets.get('b','x')}${secrets.get('a','x')}${secrets.get('b','x') | json}";
    let template = Template::parse(template.to_owned(), Format::Text).unwrap();
    let references: Vec<_> = template.references().iter().map(ToString::to_string).collect();
    assert_eq!(references, ["b:x", "a:x"]);
}

#[test]
fn what_is_no_macro_stays_byte_for_byte() {
    for other in [
        "${req.headers['x']}",
        "${conn.client_ip}",
        "${HOME} $HOME $${HOME} $$",
        "${A:-it's} it's",
        "${'}'} ${\"a\\\"}\"} ${ {'a': {'b': '}'}} }",
        "${req.headers['secrets.x']}",
        "${mysecrets.get('a','b')} ${x.secrets.get('a','b')} ${secrets}",
        "secrets.get('a','b')",
        "${ ${ ${ ${'",
        "${'''a\n}'''}",
        "${r'\\'}",
        "$",
        "${",
        "",
    ] {
        assert_eq!(text(other), other);
        assert_eq!(text(&format!("{other}\n${{secrets.get('a','b')}}")), format!("{other}\nVALUE"));
    }
    // What a shell means by a quote is nothing to CEL: the macro is found all the same.
    assert_eq!(text("${V:-it's} and ${secrets.get('a','b')} isn't}"), "${V:-it's} and VALUE isn't}");
}

#[test]
fn what_says_secrets_and_is_no_macro_is_refused_where_it_stands() {
    for (wrong, what) in [
        ("${secrets.fetch('a','b')}", "there is no secrets.fetch"),
        ("${secrets.get('a','b') | upper}", "there is no filter 'upper'"),
        ("${secrets.get('a','b') || 'x'}", "there is no filter ''"),
        ("${secrets.get('a,'b')}", "comma"),
        ("${secrets.get('a','b)}", "a quote is not closed"),
        ("${secrets.get('a','b'}", "comma"),
        ("${secrets.get('a','b')", "the closing } is missing"),
        ("${secrets.get()}", "here are 0"),
        ("${secrets.get('a')}", "here are 1"),
        ("${secrets.get('a','b','c')}", "here are 3"),
        ("${secrets.get(a,'b')}", "in quotes"),
        ("${secrets.get}", "("),
        ("${secrets.get('a','b@3')}", "no version"),
        ("${secrets.get('a b','c')}", "names no secret"),
        ("${secrets.get('','c')}", "names no secret"),
        ("${secrets.get('a','\\q')}", "no escape"),
        ("${\"Basic \" + secrets.get('a','b')}", "larger expression"),
        ("${secrets.get('a','b') + 'x'}", "larger expression"),
        ("${\"Basic + secrets.get('a','b')}", "larger expression"),
        ("${base64.encode(secrets.get('a','b'))}", "larger expression"),
        ("${\"${secrets.get('a','b')}\"}", "larger expression"),
        ("${A:-${secrets.get('a','b')}}", "larger expression"),
        ("${{ secrets.TOKEN }}", "larger expression"),
    ] {
        let error = refused(Format::Text, &format!("é\n  é {wrong}"));
        assert!(
            error.starts_with("2:5: ") || wrong.contains("${secrets") && error.starts_with("2:"),
            "{error} for {wrong}"
        );
        assert!(error.contains(what), "{error} for {wrong}");
    }
    assert!(refused(Format::Text, &" ".repeat(SIZE_MAX + 1)).contains("larger than 16 MiB"));
}

#[test]
fn two_dollars_keep_what_would_be_a_macro() {
    assert_eq!(text("$${secrets.get('a','b')}"), "${secrets.get('a','b')}");
    assert_eq!(text("$$${secrets.get('a','b')}"), "$${secrets.get('a','b')}");
    assert_eq!(text("$${secrets.fetch(1)} ${secrets.get('a','b')}"), "${secrets.fetch(1)} VALUE");
    assert_eq!(text("$${{ secrets.TOKEN }}"), "${{ secrets.TOKEN }}");
    assert_eq!(
        rendered(Format::Yaml, "a: $${secrets.get('a','b')}\n", ""),
        "a: \"${secrets.get('a','b')}\"\n"
    );
}

#[test]
fn filters_are_applied_from_left_to_right() {
    assert_eq!(text("${secrets.get('a','b') | base64 | json}"), "\"VkFMVUU=\"");
    assert_eq!(text("${secrets.get('a','b')|json|base64}"), "IlZBTFVFIg==");
    assert_eq!(text("${secrets.get('a','b') | shell} ${secrets.get('a','b') | yaml}"), "'VALUE' \"VALUE\"");
}

#[test]
fn what_cannot_be_filled_in_is_named_without_its_value() {
    let template =
        Template::parse("${secrets.get('a','b')}${secrets.get('a','c')|shell}".to_owned(), Format::Text)
            .unwrap();
    let missing = template.render(|_, name| (name == "x").then_some("")).err().unwrap();
    assert_eq!(missing.to_string(), "there is no value for a:b, a:c");
    let zero = template.render(|_, _| Some("canary\0")).err().unwrap();
    assert!(matches!(&zero, RenderError::ZeroByte(_)) && !zero.to_string().contains("canary"), "{zero}");
}

const POLICY: &str = r#"# ${secrets.get('not','filled')}
on_http_request:
  - name: ${secrets.get('a','b')} # plain
    expressions: ["req.url.path == '/x'", '${req.headers[''x'']}']
    actions:
      - type: basic-auth
        config:
          realm: '${secrets.get(''a'',''b'')}'
          credentials: ["user:${secrets.get(\"a\",\"b\")}", "x"]
          pem: |
            ${secrets.get('a','b')}
            two

          # another comment
          folded: >-
            ${secrets.get('a',
            'b')}
            end
          anchored: !!str &x "${secrets.get('a','b')}"
          again: *x
          quoted: ${secrets.get('a','b') | yaml}
          ${secrets.get('a','b')}: key
          ip: ${conn.client_ip}
"#;

#[test]
fn a_policy_loads_as_ngrok_would_fill_it() {
    for value in AWKWARD {
        let policy = rendered(Format::Yaml, POLICY, value);
        let expected: Vec<String> = scalars(POLICY)
            .into_iter()
            .map(|scalar| match scalar.as_str() {
                "${secrets.get('a','b') | yaml}" => (*value).to_owned(),
                _ => scalar
                    .replace("${secrets.get('a','b')}", value)
                    .replace("${secrets.get(\"a\",\"b\")}", value)
                    .replace("${secrets.get('a', 'b')}", value),
            })
            .collect();
        assert_eq!(scalars(&policy), expected, "{policy}");
        assert!(
            policy.contains("# ${secrets.get('not','filled')}")
                && policy.contains("          # another comment\n")
        );
        assert!(policy.contains("          ip: ${conn.client_ip}\n"));
    }
}

#[test]
fn the_same_policy_in_json_holds_the_same() {
    let policy = r#"{"on_http_request": [{"actions": [{"config": {
        "credentials": ["user:${secrets.get(\"a\", 'b')}", "x\\\""],
        "body": "{\"k\": ${secrets.get('a','b') | json}}",
        "bare": ${secrets.get("a","b")}, "quoted": ${secrets.get('a','b')|json},
        "other": "${req.headers['x']}"
    }}]}]}"#;
    for value in AWKWARD {
        let policy = rendered(Format::Json, policy, value);
        let json: serde_json::Value =
            serde_json::from_str(&policy).unwrap_or_else(|error| panic!("{error}: {policy}"));
        let config = &json["on_http_request"][0]["actions"][0]["config"];
        assert_eq!(config["credentials"], serde_json::json!([format!("user:{value}"), "x\\\""]));
        let body: serde_json::Value = serde_json::from_str(config["body"].as_str().unwrap()).unwrap();
        assert_eq!(body["k"], **value);
        assert_eq!((&config["bare"], &config["quoted"]), (&(*value).into(), &(*value).into()));
        assert_eq!(config["other"], "${req.headers['x']}");
    }
}

#[test]
fn block_scalars_are_written_anew_with_their_headers() {
    for (template, expected) in [
        ("a: |2- # | c\n    ${secrets.get('a','b')}\nb: x\n", "a: \"  VALUE\"\nb: x\n"),
        ("- >\n  ${secrets.get('a','b')}\n\n\n- x\n", "- \"VALUE\\n\"\n\n\n- x\n"),
        ("- |+\n  ${secrets.get('a','b')}\n\n- x\n", "- \"VALUE\\n\\n\"\n\n- x\n"),
        ("? |\n  ${secrets.get('a','b')}\n: x\n", "? \"VALUE\\n\"\n: x\n"),
        ("a: !t &b|c |\n  ${secrets.get('a','b')}", "a: !t &b|c \"VALUE\""),
        ("# a | b\n--- # c | d\n|\n  ${secrets.get('a','b')}", "# a | b\n--- # c | d\n\"VALUE\""),
        ("--- |\n${secrets.get('a','b')}\n--- x\n", "--- \"VALUE\\n\"\n--- x\n"),
        ("a: |\r\n  ${secrets.get('a','b')}\r\nb: x\r\n", "a: \"VALUE\\n\"\r\nb: x\r\n"),
    ] {
        assert_eq!(rendered(Format::Yaml, template, "VALUE"), expected, "{template}");
    }
}

#[test]
fn errors_in_documents_tell_where_the_expression_stands() {
    let error = refused(Format::Yaml, "a: x\nb: 'é${req.x} ${secrets.fetch(''a'')}'\n");
    assert!(error.starts_with("2:15: there is no secrets.fetch"), "{error}");
    let error = refused(Format::Json, "{\n \"a\": \"\\u00e9 ${secrets.get(\\\"a\\\")}\"}");
    assert!(error.starts_with("2:15: ") && error.contains("here are 1"), "{error}");
    let error = refused(Format::Json, "{\"a\": ${secrets.get('a')}}");
    assert!(error.starts_with("1:7: ") && error.contains("here are 1"), "{error}");
    let error = refused(Format::Yaml, "a: [\n# secrets\n");
    assert!(error.contains("this is not YAML"), "{error}");
    // In quotes of the same kind the text ends too early, for ngrok as well.
    assert!(refused(Format::Yaml, "a: \"${secrets.get(\"a\",\"b\")}\"\n").contains("this is not YAML"));
}

#[test]
fn what_is_no_document_once_it_is_filled_is_refused() {
    let template = Template::parse("{a: \"${secrets.get('a','b')}\"}".to_owned(), Format::Json).unwrap();
    assert_eq!(template.render(|_, _| Some("x")).err(), Some(RenderError::Document("JSON")));
    // YAML takes no more than 1024 characters for a key before its colon.
    let template = Template::parse("${secrets.get('a','b')}: x\n".to_owned(), Format::Yaml).unwrap();
    let long = "x".repeat(2000);
    assert!(template.render(|_, _| Some(&long)).is_err());
}

#[test]
fn time_is_linear_in_the_length() {
    for bad in
        ["${", "${'", "$${secrets.get('a','b')}", "${{", "\"${", "a: '${'\n", "${secrets ", "${x + secrets"]
    {
        let text = bad.repeat((1 << 19) / bad.len());
        for format in [Format::Text, Format::Json, Format::Yaml] {
            let start = std::time::Instant::now();
            let _ = Template::parse(text.clone(), format)
                .map(|template| template.render(|_, _| Some("x")).is_ok());
            assert!(start.elapsed().as_secs() < 10, "{bad} as {format:?}: {:?}", start.elapsed());
        }
    }
}

fn texts() -> impl Strategy<Value = String> {
    let part = prop_oneof![
        "\\PC{0,6}",
        "[${}'\" |.,():#>\\n-]{0,6}",
        proptest::sample::select(vec!["${secrets.get('a','b')}", "secrets", "a: ", "\n  "])
            .prop_map(str::to_owned)
    ];
    proptest::collection::vec(part, 0..12).prop_map(|parts| parts.concat())
}

proptest! {
    #[test]
    fn a_text_without_macros_is_given_as_it_is(text in texts()) {
        let text = text.replace("secrets", "others");
        for format in [Format::Text, Format::Yaml, Format::Json] {
            prop_assert_eq!(&rendered(format, &text, "x"), &text);
        }
    }

    #[test]
    fn every_text_has_an_answer(text in texts(), value in any::<String>()) {
        for format in [Format::Text, Format::Yaml, Format::Json] {
            if let Ok(template) = Template::parse(text.clone(), format) {
                let _ = template.render(|_, _| Some(&value));
            }
        }
    }

    #[test]
    fn any_value_is_loaded_as_it_is(value in any::<String>()) {
        let yaml = rendered(Format::Yaml, "a: x ${secrets.get('a','b')}\nb: |\n  ${secrets.get('a','b')}\n", &value);
        prop_assert_eq!(scalars(&yaml), ["a".to_owned(), format!("x {value}"), "b".to_owned(), format!("{value}\n")]);
        let json = rendered(Format::Json, "\"${secrets.get('a','b')}\"", &value);
        prop_assert_eq!(serde_json::from_str::<String>(&json).unwrap(), value);
    }
}
