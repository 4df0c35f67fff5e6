//! Files that are generated from the code and committed: they are what people read and clients download.

use std::fs;
use std::path::Path;

use crate::Result;
use crate::process::{cargo, command, output};

/// Rewrite the committed files that are generated from the code.
#[derive(clap::Args)]
#[command(after_help = "Example: cargo xtask generate")]
pub(crate) struct Args {}

pub(crate) const OPENAPI: &str = "docs/openapi.json";

pub(crate) fn run(_: &Args) -> Result {
    let mut openapi = cargo(["run", "--quiet", "--package", "strongroom-cli", "--", "openapi"]);
    let text = output(&mut openapi)?;
    fs::create_dir_all("docs")?;
    fs::write(OPENAPI, text)?;
    println!("wrote {OPENAPI}");
    Ok(())
}

/// Fails when a committed file is not what `strongroom` generates.
pub(crate) fn check(strongroom: &Path) -> Result {
    let committed = fs::read_to_string(OPENAPI).map_err(|error| format!("{OPENAPI}: {error}"))?;
    if committed == output(command(strongroom).arg("openapi"))? {
        println!("{OPENAPI} is what the code generates");
        Ok(())
    } else {
        Err(format!("{OPENAPI} is not what the code generates; run: cargo xtask generate").into())
    }
}
