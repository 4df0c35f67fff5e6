//! Exports of the audit log: a file of JSON lines that can be verified with nothing but the public key.
//!
//! The first line says what it is, and of a log that is pruned up to where, with the edge of the tree up to there. Then, for
//! each stretch of up to 256 events, a line with the hashes that the log keeps of
//! them, level by level, and a line for each event with its canonical bytes. The last line has a signed checkpoint of the
//! end. `docs/formats.md` has it in full.

use std::fs::File;
use std::io::{BufRead, BufReader, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use clap::Args;
use serde::{Deserialize, Serialize};
use strongroom_domain::Digest;
use strongroom_domain::app::audit::tree_at;
use strongroom_domain::audit::checkpoint::LogPublicKey;
use strongroom_domain::audit::tree::Tree;
use strongroom_domain::audit::{Broken, Head, Record, StoredHashes, Verifier};

use super::verify::Walked;
use super::{ReadHouse, block_on, progress, unreadable};
use crate::failure::Failure;
use crate::folder;
use crate::settings::Place;

/// The format of the file.
const FORMAT: u32 = 1;
/// The format when the log is pruned.
const PRUNED: u32 = 2;
/// Events of a stretch: a power of sixteen.
const STRETCH: u64 = 256;
/// Bytes of a line: an event has a few kilobytes, a stretch's hashes some twelve. Where names and metadata are set to be as
/// long as they may, each a megabyte, an event has some twenty million.
const LINE_MAX: u64 = 32 << 20;

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Start {
    strongroom_audit_export: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pruned: Option<Pruned>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Pruned {
    upto: u64,
    /// The edge of the tree over the events that are pruned, in base64.
    edge: String,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Hashes {
    after: u64,
    upto: u64,
    /// For each level the hashes, in base64.
    hashes: Vec<Vec<String>>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Event {
    sequence: u64,
    /// In base64.
    canonical: String,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct End {
    checkpoint: String,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Line {
    Hashes(Hashes),
    Event(Event),
    End(End),
}

#[derive(Args)]
pub(crate) struct Export {
    #[command(flatten)]
    place: Place,
    /// The file to write; it must not exist
    #[arg(value_name = "FILE")]
    file: PathBuf,
}

impl Export {
    pub(super) fn run(self) -> Result<ExitCode, Failure> {
        let written = block_on(async {
            let house = ReadHouse::open(self.place).await?;
            write(&house, &self.file).await
        })?;
        crate::out(&format!("{written} audit events written to {}\n", self.file.display()))
    }
}

/// Writes the log as it is now, under another name until it is whole.
async fn write(house: &ReadHouse, path: &Path) -> Result<u64, Failure> {
    let failed = |error| Failure::new(format!("{} cannot be written", path.display())).because(error);
    if path.exists() {
        return Err(Failure::new(format!("{} exists already: name a file that does not", path.display())));
    }
    let part = path.with_added_extension(format!("{}.part", std::process::id()));
    let file = folder::create_private(&part).map_err(failed)?;
    let written = write_to(house, BufWriter::new(file)).await;
    let done = match written {
        Ok((events, file)) => file
            .into_inner()
            .map_err(std::io::IntoInnerError::into_error)
            .and_then(|file| file.sync_all())
            .and_then(|()| std::fs::rename(&part, path))
            .map(|()| events)
            .map_err(failed),
        Err(failure) => Err(failure),
    };
    if done.is_err() {
        let _ = std::fs::remove_file(&part);
    }
    done
}

/// Gives how many events were written.
async fn write_to(house: &ReadHouse, mut out: BufWriter<File>) -> Result<(u64, BufWriter<File>), Failure> {
    let pruned = house.store.audit_pruned().await.map_err(unreadable)?;
    let head = house.store.audit_head().await.map_err(unreadable)?;
    line(&mut out, &start(house, pruned).await?)?;
    let (mut after, mut told) = (pruned, progress("events written"));
    while after < head.sequence {
        let upto = head.sequence.min((after + 1).next_multiple_of(STRETCH));
        let mut hashes = Vec::new();
        for (level, first, count) in StoredHashes::wanted(after, upto) {
            let kept = house.store.audit_hashes(level, first, count).await.map_err(unreadable)?;
            hashes.push(kept.iter().map(|hash| STANDARD.encode(hash)).collect());
        }
        line(&mut out, &Hashes { after, upto, hashes })?;
        let records = house.store.audit_list(after, (upto - after) as usize).await.map_err(unreadable)?;
        for record in records {
            let canonical = STANDARD.encode(&record.canonical);
            line(&mut out, &Event { sequence: record.sequence, canonical })?;
        }
        after = upto;
        told(after);
    }
    if house.store.audit_pruned().await.map_err(unreadable)? != pruned {
        return Err(Failure::new("the log was pruned while it was written").todo("do it again"));
    }
    line(&mut out, &End { checkpoint: house.log().checkpoint(&head) })?;
    Ok((head.sequence - pruned, out))
}

async fn start(house: &ReadHouse, pruned: u64) -> Result<Start, Failure> {
    if pruned == 0 {
        return Ok(Start { strongroom_audit_export: FORMAT, pruned: None });
    }
    let tree = tree_at(&*house.store, pruned).await.map_err(unreadable)?;
    let pruned = Pruned { upto: pruned, edge: STANDARD.encode(tree.to_bytes()) };
    Ok(Start { strongroom_audit_export: PRUNED, pruned: Some(pruned) })
}

fn line(out: &mut impl Write, value: &impl Serialize) -> Result<(), Failure> {
    let failed = |error: std::io::Error| Failure::new("the export cannot be written").because(error);
    let text = serde_json::to_string(value).map_err(|error| failed(error.into()))?;
    writeln!(out, "{text}").map_err(failed)
}

/// Verifies an export: that it is whole, signed, and leads past the heads that are expected.
pub(super) fn verify(path: &Path, key: &LogPublicKey, expected: &[Head]) -> Result<Walked, Failure> {
    let failed = || Failure::new(format!("the export {} cannot be read", path.display()));
    let file = File::open(path).map_err(|error| failed().because(error))?;
    let mut lines = Lines { file: BufReader::new(file), number: 0 };
    let start = lines.next().map_err(|error| failed().because(error))?;
    let start = start.and_then(|line| serde_json::from_slice(&line).ok()).and_then(edge);
    let start = start.ok_or_else(|| failed().because(NotExport))?;
    let pruned = start.size();
    if let Some(head) = expected.iter().find(|head| head.sequence < pruned) {
        let what = format!(
            "the checkpoint at event {} is from before the first event of the export, which is {}",
            head.sequence,
            pruned + 1
        );
        return Err(
            Failure::new(what).todo("compare it with the store, which has the hashes of what is pruned")
        );
    }
    let walked = walk(&mut lines, Verifier::starting_at(start, expected), key);
    Ok(walked.map_err(|error| failed().because(error))?.map(|head| (pruned, head)))
}

/// The tree over the events that come before those of the export.
fn edge(start: Start) -> Option<Tree> {
    match (start.strongroom_audit_export, start.pruned) {
        (FORMAT, None) => Some(Tree::default()),
        (PRUNED, Some(Pruned { upto, edge })) => Tree::from_bytes(upto, &STANDARD.decode(edge).ok()?).ok(),
        _ => None,
    }
}

/// The file is not what this version writes.
#[derive(Debug, thiserror::Error)]
#[error("it is no export of an audit log")]
struct NotExport;

/// What is wrong with the form of a line.
#[derive(Debug, thiserror::Error)]
enum BadLine {
    #[error("line {0} is none of an export")]
    Form(u64),
    #[error("the end is missing: the file was cut after line {0}")]
    Cut(u64),
    #[error("line {0} follows after the end")]
    AfterEnd(u64),
    #[error("the checkpoint at the end cannot be used: {0}")]
    Checkpoint(#[from] strongroom_domain::audit::checkpoint::BadCheckpoint),
    #[error(transparent)]
    Io(#[from] std::io::Error),
}

struct Lines {
    file: BufReader<File>,
    number: u64,
}

impl Lines {
    fn next(&mut self) -> std::io::Result<Option<Vec<u8>>> {
        use std::io::Read;
        let mut line = Vec::new();
        let read = self.file.by_ref().take(LINE_MAX).read_until(b'\n', &mut line)?;
        self.number += 1;
        Ok((read > 0).then_some(line))
    }
}

fn walk(
    lines: &mut Lines,
    mut verifier: Verifier,
    key: &LogPublicKey,
) -> Result<Result<Head, Broken>, BadLine> {
    let mut kept = StoredHashes::default();
    while let Some(line) = lines.next()? {
        let bad = BadLine::Form(lines.number);
        match serde_json::from_slice(&line).map_err(|_| BadLine::Form(lines.number))? {
            Line::Hashes(hashes) => kept = stored(&hashes).ok_or(bad)?,
            Line::Event(Event { sequence, canonical }) => {
                let canonical = STANDARD.decode(canonical).map_err(|_| bad)?;
                if let Err(broken) = verifier.check(&Record { sequence, canonical }, &kept) {
                    return Ok(Err(broken));
                }
            }
            Line::End(End { checkpoint }) => {
                let head = key.open(&checkpoint)?;
                if lines.next()?.is_some() {
                    return Err(BadLine::AfterEnd(lines.number));
                }
                return Ok(verifier.finish(&head).map(|()| head));
            }
        }
    }
    Err(BadLine::Cut(lines.number - 1))
}

fn stored(line: &Hashes) -> Option<StoredHashes> {
    let mut kept = StoredHashes::default();
    let wanted = StoredHashes::wanted(line.after, line.upto);
    for ((_, first, _), hashes) in wanted.zip(&line.hashes) {
        let decode = |text: &String| STANDARD.decode(text).ok()?.try_into().ok();
        kept.push(first, hashes.iter().map(decode).collect::<Option<Vec<Digest>>>()?);
    }
    Some(kept)
}
