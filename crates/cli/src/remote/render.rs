//! `strongroom render`: templates become files with values in them. All of them or none.

mod sources;
mod watch;

use std::collections::HashMap;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, ValueEnum};
use strongroom_client::reference::Reference;
use strongroom_client::template::{self, RenderError, Rendered, Template};
use strongroom_wire as wire;

use super::Remote;
use super::new_files::{NewFiles, make_folder};
use super::values::{self, CacheOptions};
use crate::failure::{Failure, Kind};
use crate::{hygiene, out};
use sources::{Source, Target};

pub(crate) const HELP: &str = "\
Examples:
  strongroom render policy.yaml
  strongroom render app.conf.tmpl -o /run/app/app.conf
  strongroom render templates/ --output-dir /run/app
  strongroom render app.conf.tmpl -o /run/app/app.conf --watch
  strongroom render templates/ --check

${secrets.get('vault', 'name')} stands for a value, as in ngrok's Traffic Policy. Filters may follow: \
${secrets.get('vault', 'name') | json}. There are json, base64, shell and yaml; each quotes the value in its way. Any other \
${…} stays as it is, and $${secrets.… gives ${secrets.… itself.

In YAML and JSON the macro is looked for in strings, as ngrok does, and the string is written anew: what is loaded holds \
exactly the value, whatever characters are in it. Comments stay as they are. In any other text the value stands in place of \
the macro, and nothing else changes; --format text does so for YAML and JSON too.

Nothing is written before every template is understood, every value is there and every new file is on the disk. The files \
can be read by you alone. Those that would not change are left alone.

With --watch it stays, and writes files anew when, and only when, a value in them has changed. The templates are not read again. \
When the server cannot be reached, that is told once, and the files stay as they are. A value that is not there any more is told once \
and stays as it was, while the others are followed.";

#[derive(Args)]
pub(crate) struct Render {
    /// The template, or a folder of them; - is standard input
    #[arg(value_name = "FILE|DIR", default_value = "-", hide_default_value = true)]
    source: PathBuf,
    /// The file to write; - is standard output [default: -]
    #[arg(long = "out", short, value_name = "FILE", conflicts_with = "output_dir")]
    output: Option<PathBuf>,
    /// The folder to write to: each file under its own name, without .tmpl or .tpl at its end
    #[arg(long, value_name = "DIR")]
    output_dir: Option<PathBuf>,
    /// What the files are [default: as their names end, .tmpl and .tpl aside; else text]
    #[arg(long, value_enum, value_name = "FORMAT")]
    format: Option<Format>,
    /// Only see whether all templates are understood and all values are there
    #[arg(long, conflicts_with_all = ["output", "output_dir"])]
    check: bool,
    /// Stay, and write the files anew as soon as a value in them has changed
    #[arg(long, conflicts_with = "check")]
    watch: bool,
    #[command(flatten)]
    cache: CacheOptions,
    #[command(flatten)]
    remote: Remote,
}

#[derive(Clone, Copy, ValueEnum)]
enum Format {
    Text,
    Yaml,
    Json,
}

impl From<Format> for template::Format {
    fn from(format: Format) -> Self {
        match format {
            Format::Text => Self::Text,
            Format::Yaml => Self::Yaml,
            Format::Json => Self::Json,
        }
    }
}

/// A template, where it comes from and where it goes.
struct Job {
    source: String,
    target: Target,
    template: Template,
}

impl Render {
    pub(crate) fn run(self) -> Result<ExitCode, Failure> {
        hygiene::hide();
        let jobs = self.understand(sources::find(&self)?)?;
        let references = references(&jobs);
        if self.watch {
            return watch::keep_up(&self, &jobs, references);
        }
        let secrets = if references.is_empty() {
            Vec::new()
        } else {
            values::fetch(&self.remote, &self.cache, &references)?
        };
        let rendered = render(&jobs, &secrets)?;
        if self.check {
            return out(&format!(
                "{} understood, and {} there\n",
                count(jobs.len(), "template is", "templates are"),
                count(references.len(), "value is", "values are")
            ));
        }
        let to_stdout = jobs.iter().position(|job| matches!(job.target, Target::Stdout));
        if let Some(rendered) = to_stdout.and_then(|index| rendered.get(index)) {
            // Standard output is where the value is to be.
            return out(rendered.expose_secret());
        }
        out(&self.write(&jobs, &rendered)?)
    }

    /// Reads all templates, and tells what is wrong with any of them.
    fn understand(&self, sources: Vec<Source>) -> Result<Vec<Job>, Failure> {
        let (mut jobs, mut wrong) = (Vec::new(), Vec::new());
        for Source { name, target, text } in sources {
            match Template::parse(text, self.format_of(&name, &target)) {
                Ok(template) => jobs.push(Job { source: name, target, template }),
                Err(error) => wrong.push(format!("{name}:{error}")),
            }
        }
        if wrong.is_empty() { Ok(jobs) } else { Err(Failure::new(wrong.join("\n")).kind(Kind::Invalid)) }
    }

    /// What is written is what counts; only where its name tells nothing, that of the template does.
    fn format_of(&self, name: &str, target: &Target) -> template::Format {
        let target = match target {
            Target::File(path) => path.to_string_lossy().into_owned(),
            Target::Stdout | Target::Nothing => String::new(),
        };
        let by_name = [target.as_str(), sources::stem(name)].map(template::Format::of_name);
        let telling = by_name.into_iter().find(|format| *format != template::Format::Text);
        self.format.map(template::Format::from).or(telling).unwrap_or(template::Format::Text)
    }

    /// Writes the files; gives what there is to tell of it.
    fn write(&self, jobs: &[Job], rendered: &[Rendered]) -> Result<String, Failure> {
        let mut files = NewFiles::default();
        for (job, rendered) in jobs.iter().zip(rendered) {
            if let Target::File(path) = &job.target {
                if self.output_dir.is_some() {
                    make_folder(path)?;
                }
                // The file is where the values are to be.
                files.add(path, rendered.expose_secret())?;
            }
        }
        let (written, unchanged) = files.commit()?;
        let written = count(written, "file is", "files are");
        Ok(format!("{written} written, {unchanged} unchanged\n"))
    }
}

/// What the templates name, each once.
fn references(jobs: &[Job]) -> Vec<wire::Reference> {
    let mut references: Vec<&Reference> = jobs.iter().flat_map(|job| job.template.references()).collect();
    references.sort_unstable();
    references.dedup();
    references.into_iter().map(wire::Reference::from).collect()
}

fn render(jobs: &[Job], secrets: &[wire::ResolvedSecret]) -> Result<Vec<Rendered>, Failure> {
    let values: HashMap<_, _> = secrets
        .iter()
        // To stand in the files is what they were fetched for.
        .map(|secret| ((secret.vault.as_str(), secret.name.as_str()), secret.value.as_str()))
        .collect();
    let rendered = |job: &Job| {
        let rendered = job.template.render(|vault, name| values.get(&(vault, name)).copied());
        rendered.map_err(|error| unfit(&job.source, &error))
    };
    jobs.iter().map(rendered).collect()
}

fn unfit(source: &str, error: &RenderError) -> Failure {
    let failure = Failure::new(format!("{source} cannot be rendered: {error}"));
    match error {
        RenderError::Missing(_) => failure.kind(Kind::Missing),
        RenderError::ZeroByte(_) => failure.kind(Kind::Invalid),
        RenderError::Document(_) => failure.kind(Kind::Invalid).todo("add --format text if that is meant"),
    }
}

fn count(number: usize, one: &str, more: &str) -> String {
    format!("{number} {}", if number == 1 { one } else { more })
}
