//! What Strongroom is measured beside, each the least that its kind of work costs:
//!
//! - `bench-floor serve FOLDER [CERT KEY]`: a bare axum server that answers with given bytes.
//! - `bench-floor rows STORE BATCH SECONDS`: the rows of a durable create, written to SQLite by one thread, without HTTP.
//! - `bench-floor sync FILE BYTES SECONDS`: as many bytes as one create's commit, and an `fdatasync`, again and again.
//! - `bench-floor certificate CERT KEY`: makes a certificate for this machine, for one run; it stands here
//!   so that `cargo xtask` needs no cryptography.
//!
//! `cargo xtask bench` starts all of them.

mod rows;
mod serve;
mod sync;

use std::error::Error;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Whatever went wrong, as a sentence for whoever started this.
type Result<T = ()> = std::result::Result<T, Box<dyn Error>>;

const USAGE: &str = "usage: bench-floor serve FOLDER [CERT KEY] | rows STORE BATCH SECONDS | \
                     sync FILE BYTES SECONDS | certificate CERT KEY";

fn main() -> Result {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = args.iter().map(String::as_str).collect();
    match words[..] {
        ["serve", folder] => serve::run(&PathBuf::from(folder), None),
        ["serve", folder, certificate, key] => {
            serve::run(&PathBuf::from(folder), Some((Path::new(certificate), Path::new(key))))
        }
        ["rows", store, batch, seconds] => {
            rows::run(Path::new(store), batch.parse()?, Duration::from_secs(seconds.parse()?))
        }
        ["sync", file, bytes, seconds] => {
            sync::run(Path::new(file), bytes.parse()?, Duration::from_secs(seconds.parse()?))
        }
        ["certificate", certificate, key] => make_certificate(Path::new(certificate), Path::new(key)),
        _ => Err(USAGE.into()),
    }
}

fn make_certificate(certificate: &Path, key: &Path) -> Result {
    let names = vec!["localhost".to_owned(), "127.0.0.1".to_owned()];
    let made = rcgen::generate_simple_self_signed(names)?;
    std::fs::write(certificate, made.cert.pem())?;
    std::fs::write(key, made.signing_key.serialize_pem())?;
    Ok(())
}

/// Says something to whoever started this, and waits for it.
#[expect(clippy::print_stdout, reason = "standard output is how this program answers")]
fn say(line: &str) {
    println!("{line}");
}
