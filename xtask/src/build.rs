//! The builds that tests and benchmarks share.

use std::path::{Path, PathBuf};

use crate::Result;
use crate::process::{cargo, output, run};

/// Members that are built only when they are named: each would change how everything else is built.
const APART: [&str; 2] = ["strongroom-compat-rust", "strongroom-fuzz"];

/// The kinds of key slots that bring much along. They are in every build for the tests: with and without them, most
/// dependencies would be built twice. That the crate builds without them too is seen where the fuzz targets are built.
const FEATURES: &str = "strongroom-slots/aws-kms,strongroom-slots/pkcs11";

/// The arguments that choose every ordinary member of the workspace, with all that it can do.
pub(crate) fn ordinary_members() -> Vec<&'static str> {
    let mut args = vec!["--workspace", "--features", FEATURES];
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

/// `strongroom` as the tests drive it. It is built together with the tests: with any other set of packages and
/// targets cargo would choose other features, and build the dependencies a second time.
pub(crate) fn for_tests() -> Result<PathBuf> {
    run(cargo(["test", "--quiet", "--no-run"]).args(ordinary_members()))?;
    built(&target_dir().join("debug/strongroom"))
}

/// The programs of the benchmarks as the tests build them, for a run that looks at no figure.
pub(crate) fn servers_for_tests() -> Result<Servers> {
    run(cargo(["build", "--quiet", "--bins", "--tests"]).args(ordinary_members()))?;
    Servers::of("debug")
}

/// The programs of the benchmarks: Strongroom, and what it is measured beside.
pub(crate) struct Servers {
    pub(crate) strongroom: PathBuf,
    pub(crate) floor: PathBuf,
}

impl Servers {
    /// Those of a profile, which are built already.
    fn of(profile: &str) -> Result<Self> {
        let folder = target_dir().join(profile);
        Ok(Self {
            strongroom: built(&folder.join("strongroom"))?,
            floor: built(&folder.join("bench-floor"))?,
        })
    }
}

/// The programs of the benchmarks in release, as people build Strongroom.
pub(crate) fn for_benchmarks() -> Result<Servers> {
    // Each by itself: together they would share features, and Strongroom would not be the program that people run.
    for package in ["strongroom-cli", "bench-floor"] {
        run(&mut cargo(["build", "--quiet", "--release", "--package", package]))?;
    }
    Servers::of("release")
}

/// The pieces of requests, one at a time, in release.
pub(crate) fn micro() -> Result<PathBuf> {
    run(&mut cargo(["build", "--quiet", "--release", "--package", "bench-micro"]))?;
    built(&target_dir().join("release/bench-micro"))
}

fn built(path: &Path) -> Result<PathBuf> {
    path.canonicalize().map_err(|error| format!("{} was not built: {error}", path.display()).into())
}

/// The target triple of this machine, as the compiler names it.
pub(crate) fn host() -> Result<String> {
    let version = output(crate::process::command("rustc").arg("-vV"))?;
    let host = version.lines().find_map(|line| line.strip_prefix("host: "));
    Ok(host.ok_or("`rustc -vV` names no host")?.to_owned())
}
