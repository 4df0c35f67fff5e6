//! Whatever comes in, parsing ends, and without a panic.

use proptest::prelude::*;

use super::super::{MAX_DEPTH, MAX_TERMS, MAX_TEXT};
use super::parse;

#[test]
fn bounds() {
    let longest = format!("obj.name == '{}'", "a".repeat(MAX_TEXT - 14));
    assert_eq!(longest.len(), MAX_TEXT);
    assert!(parse(&longest).is_ok());
    assert_eq!(parse(&format!("{longest} ")), Err("the filter is longer than 4096 bytes".to_owned()));

    for (open, close) in [("(", ")"), ("!", "")] {
        let nested = |depth| format!("{}obj.active{}", open.repeat(depth), close.repeat(depth));
        assert!(parse(&nested(MAX_DEPTH)).is_ok());
        let expected = format!("nested more than 32 deep, at character {}", MAX_DEPTH + 1);
        assert_eq!(parse(&nested(MAX_DEPTH + 1)), Err(expected));
    }
    for opening in ["(", "!", "[", "size(", "!(", "obj.name in [", "obj.name.contains("] {
        assert!(parse(&opening.repeat(MAX_TEXT / opening.len())).is_err(), "{opening}");
        assert!(parse(&opening.repeat(100_000)).is_err(), "{opening}");
    }

    let terms = |count| vec!["obj.active"; count].join(" && ");
    assert!(parse(&terms(MAX_TERMS)).is_ok());
    let too_many = Err("the filter has more than 100 terms".to_owned());
    assert_eq!(parse(&terms(MAX_TERMS + 1)), too_many);
    let items = |count| format!("obj.name in [{}]", vec!["'a'"; count].join(","));
    assert!(parse(&items(MAX_TERMS)).is_ok());
    assert_eq!(parse(&items(MAX_TERMS + 1)), too_many);
}

#[test]
fn all_that_a_filter_holds_is_counted() {
    let text = "x".repeat(1000);
    let size = |filter: &str| parse(filter).map(|expr| expr.heap_size()).unwrap_or_default();
    assert_eq!(size("obj.active"), 0);
    for one in
        ["obj.name == '{}'", "!obj.name.contains('{}')", "obj.active || !(obj.active && obj.name > '{}')"]
    {
        let size = size(&one.replace("{}", &text));
        assert!((1000..3000).contains(&size), "{one}: {size}");
    }
    let list = vec![format!("'{}'", "x".repeat(10)); MAX_TERMS].join(", ");
    assert!(size(&format!("obj.name in [{list}]")) > MAX_TERMS * 30);
}

/// Pieces that get past the lexer more often than random bytes do.
const PIECES: [&str; 40] = [
    "obj",
    ".",
    "name",
    "id",
    "created_at",
    "active",
    "obj.name",
    "obj.id",
    "obj.created_at",
    "obj.vault.id",
    "(",
    ")",
    "[",
    "]",
    ",",
    "!",
    "&&",
    "||",
    "==",
    "!=",
    "<",
    ">=",
    "in",
    "null",
    "true",
    "'a'",
    "\"\\x41\"",
    "'vault_a'",
    "'\\",
    "timestamp(",
    "time.now",
    ".add('1d')",
    ".subtract('999999999999d')",
    "size(",
    ".size()",
    ".contains('a')",
    "-9223372036854775808",
    "3",
    "é",
    "'2025-05-10Z'",
];

proptest! {
    #![proptest_config(ProptestConfig { cases: 10_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = parse(&String::from_utf8_lossy(&bytes));
    }

    #[test]
    fn no_pieces_panic(
        pieces in proptest::collection::vec((proptest::sample::select(&PIECES[..]), any::<bool>()), 0..40),
    ) {
        let text: String = pieces.iter().flat_map(|(piece, space)| [*piece, if *space { " " } else { "" }]).collect();
        let _ = parse(&text);
    }

    #[test]
    fn no_mutation_panics(at in 0_usize..200, cut in 0_usize..20, insert in any::<char>()) {
        let seed = r#"!(obj.name in ["a", 'b\u00e9']) && obj.created_at >= timestamp("2025-10-31T09:23:45.5-07:00").add("1h30m") || size(obj.name) != -12 || obj.id == "vault_é""#;
        let mut chars: Vec<char> = seed.chars().collect();
        let start = at.min(chars.len());
        let end = (start + cut).min(chars.len());
        chars.splice(start..end, [insert]);
        let _ = parse(&chars.into_iter().collect::<String>());
    }
}
