//! Help: every command says what it does and shows an example, and what it says changes only on purpose.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod harness;
mod person;

use std::collections::BTreeMap;

use person::Person;

/// Every command with its help, found as a person would: from the first page down.
fn commands() -> BTreeMap<Vec<String>, String> {
    let mut found = BTreeMap::new();
    let mut left = vec![Vec::new()];
    while let Some(words) = left.pop() {
        let args: Vec<&str> = words.iter().map(String::as_str).chain(["--help"]).collect();
        let help = Person::stranger().does(&args);
        left.extend(listed(&help).into_iter().map(|word| [words.clone(), vec![word]].concat()));
        found.insert(words, help);
    }
    found
}

/// The commands that a page of help lists. Those of the first page stand in groups, up to the options.
fn listed(help: &str) -> Vec<String> {
    let from = help.find("\nCommands:\n").or_else(|| help.find("\nUse and keep secrets:\n"));
    let Some(from) = from else { return Vec::new() };
    let lines = help[from..].lines().take_while(|line| *line != "Options:");
    let named = lines.filter_map(|line| line.strip_prefix("  ")?.split_once(' ').map(|(word, _)| word));
    named.filter(|word| !word.is_empty() && *word != "help").map(str::to_owned).collect()
}

#[test]
fn help_changes_only_on_purpose() {
    let mut pages: BTreeMap<String, String> = BTreeMap::new();
    for (words, help) in commands() {
        let command = words.first().map_or("strongroom", String::as_str).to_owned();
        let line = words.iter().fold("strongroom".to_owned(), |line, word| format!("{line} {word}"));
        assert!(help.contains("Example") || words.is_empty(), "{line} shows no example: {help}");
        pages.entry(command).or_default().push_str(&format!("$ {line} --help\n{help}\n"));
    }
    assert!(pages.len() > 15 && pages["api"].contains("get-secrets-by-vault"));
    for (command, help) in pages {
        insta::assert_snapshot!(command, help);
    }
}

#[test]
fn shells_complete_every_command() {
    let commands = commands();
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = Person::stranger().does(&["completions", shell]);
        for word in commands.keys().flatten() {
            assert!(script.contains(word.as_str()), "{word} for {shell}");
        }
    }
    assert_eq!(Person::stranger().run(&["completions", "cmd"]).code, 2);
}

#[test]
fn the_manual_has_a_page_for_every_command() {
    let person = Person::stranger();
    let folder = person.home().join("share/man1");
    person.does(&["man", harness::text(&folder)]);
    for words in commands().into_keys() {
        let name = words.iter().fold("strongroom".to_owned(), |name, word| format!("{name}-{word}"));
        let page = std::fs::read_to_string(folder.join(format!("{name}.1"))).expect(&name);
        assert!(page.contains(&format!(".TH {name} 1")), "{page}");
    }
    assert!(person.does(&["man"]).contains(".TH strongroom 1"));
    person.fails(6, &["man", "/dev/null/pages"]);
}
