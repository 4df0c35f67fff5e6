//! The builds that tests and benchmarks share.

use std::path::{Path, PathBuf};

use crate::Result;
use crate::process::{cargo, output, run};

/// Members that are built only when they are named: each would change how everything else is built.
const APART: [&str; 2] = ["strongroom-compat", "strongroom-fuzz"];

/// The arguments that choose every ordinary member of the workspace.
pub(crate) fn ordinary_members() -> Vec<&'static str> {
    let mut args = vec!["--workspace"];
    for member in APART {
        args.extend(["--exclude", member]);
    }
    args
}

/// Where cargo puts what it builds.
#[expect(clippy::disallowed_methods, reason = "cargo's own setting; xtask has no configuration of its own")]
pub(crate) fn target_dir() -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| PathBuf::from("target"), PathBuf::from)
}

/// The binary that the tests drive. It is built by the very command that builds the tests: with any other set
/// of packages cargo would choose other features and build the dependencies a second time.
pub(crate) fn strongroom_for_tests() -> Result<PathBuf> {
    run(cargo(["test", "--quiet", "--no-run"]).args(ordinary_members()))?;
    executable(&target_dir().join("debug/strongroom"))
}

/// What the benchmarks measure: the server as people build it, and the bare server beside it.
pub(crate) struct Measured {
    pub(crate) strongroom: PathBuf,
    pub(crate) floor: PathBuf,
}

/// Builds both benchmark servers in release.
pub(crate) fn release() -> Result<Measured> {
    run(&mut cargo(["build", "--release", "--package", "strongroom-cli", "--package", "bench-floor"]))?;
    let folder = target_dir().join("release");
    Ok(Measured {
        strongroom: executable(&folder.join("strongroom"))?,
        floor: executable(&folder.join("bench-floor"))?,
    })
}

/// The target triple of this machine, as the compiler names it.
pub(crate) fn host() -> Result<String> {
    let version = output(crate::process::command("rustc").arg("-vV"))?;
    let host = version.lines().find_map(|line| line.strip_prefix("host: "));
    Ok(host.ok_or("`rustc -vV` names no host")?.to_owned())
}

fn executable(path: &Path) -> Result<PathBuf> {
    path.canonicalize().map_err(|error| format!("{} was not built: {error}", path.display()).into())
}
