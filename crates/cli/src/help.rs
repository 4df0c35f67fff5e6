//! The first page of help: the commands by what they are for.

use std::fmt::Write;

use anstyle::Style;
use clap::Command;

/// A command that stands nowhere here is listed last.
const GROUPS: [(&str, &[&str]); 3] = [
    (
        "Use and keep secrets",
        &[
            "run", "render", "secret", "vault", "import", "export", "diff", "stale", "changes", "webhook",
            "api",
        ],
    ),
    ("Keys and profiles", &["login", "logout", "whoami", "api-key", "explain"]),
    (
        "The server",
        &[
            "serve",
            "config",
            "doctor",
            "audit",
            "backup",
            "restore",
            "migrate-store",
            "seed",
            "key",
            "ip-restrictions",
            "healthcheck",
        ],
    ),
];

/// Lists the commands in groups in place of one list.
pub(crate) fn grouped(command: Command) -> Command {
    let heading = Style::new().bold().underline();
    let name = Style::new().bold();
    let all: Vec<&Command> = command.get_subcommands().filter(|command| !command.is_hide_set()).collect();
    let width = all.iter().map(|command| command.get_name().len()).max().unwrap_or(0);
    let grouped = GROUPS.iter().flat_map(|(_, names)| names.iter().copied());
    let others: Vec<&str> = all
        .iter()
        .map(|command| command.get_name())
        .filter(|name| !grouped.clone().any(|one| one == *name))
        .collect();
    let mut list = String::new();
    for (title, names) in GROUPS.into_iter().chain([("Other", others.as_slice())]) {
        let _ = writeln!(list, "{heading}{title}:{heading:#}");
        for command in names.iter().filter_map(|name| all.iter().find(|command| command.get_name() == *name))
        {
            let about = command.get_about().map(ToString::to_string).unwrap_or_default();
            let _ = writeln!(list, "  {name}{:width$}{name:#}  {about}", command.get_name());
        }
        list.push('\n');
    }
    command.help_template(format!(
        "{{about-with-newline}}\n{{usage-heading}} {{usage}}\n\n{list}{heading}Options:{heading:#}\n{{options}}{{after-help}}"
    ))
}
