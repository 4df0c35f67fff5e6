//! A PostgreSQL server of the system's own programs, as it is installed: it waits for the disk.

use std::fs;
use std::io::Write as _;
use std::net::TcpListener;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::Result;
use crate::process::{Running, output, succeeds};
use crate::setup::is_root;

/// How long it may take until it answers.
const PATIENCE: Duration = Duration::from_secs(60);
/// Who owns the databases.
const ROLE: &str = "strongroom";
/// Whom it runs as instead of root, as whom it does not start: the user that the package makes.
const OWNER: &str = "postgres";

/// A server on a free port of this machine, in a folder of its own. It ends when this value goes.
pub(crate) struct Postgres {
    running: Running,
    programs: PathBuf,
    folder: PathBuf,
    port: u16,
    password_file: PathBuf,
}

/// Where a database is.
pub(crate) struct Place {
    pub(crate) url: String,
    pub(crate) password_file: PathBuf,
}

impl Postgres {
    /// Makes and starts one in an empty folder.
    pub(crate) fn start(folder: &Path) -> Result<Self> {
        let (programs, own) = (programs()?, folder.join("postgres"));
        fs::create_dir(&own)?;
        if is_root()? {
            output(Command::new("chown").arg(OWNER).arg(&own))?;
        }
        let data = own.join("data");
        let mut make = as_owner(&programs.join("initdb"))?;
        make.arg("--pgdata").arg(&data).args(["--no-sync", "--username=postgres"]);
        // The local socket is in a folder that nobody else may enter.
        output(make.args(["--auth-local=trust", "--auth-host=scram-sha-256"]))?;
        let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let mut serve = as_owner(&programs.join("postgres"))?;
        serve.arg("-D").arg(&data).args(["-h", "127.0.0.1", "-p", &port.to_string(), "-k"]).arg(&data);
        let log = fs::File::create(folder.join("postgres.log"))?;
        let running = Running::start(serve.stdout(Stdio::null()).stderr(log))?;
        let password_file = folder.join("password");
        let made = Self { running, programs, folder: data, port, password_file };
        made.wait_until_ready()?;
        made.make_role()?;
        Ok(made)
    }

    fn wait_until_ready(&self) -> Result {
        let begun = Instant::now();
        let (program, port) = (self.programs.join("pg_isready"), self.port.to_string());
        let program = program.to_string_lossy();
        while !succeeds(&program, &["-q", "-h", "127.0.0.1", "-p", &port]) {
            if begun.elapsed() > PATIENCE {
                return Err("PostgreSQL does not come up: its log is beside it".into());
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(())
    }

    /// A role with a password that nobody else on the machine knows.
    fn make_role(&self) -> Result {
        let mut random = [0; 16];
        std::io::Read::read_exact(&mut fs::File::open("/dev/urandom")?, &mut random)?;
        let password: String = random.iter().map(|byte| format!("{byte:02x}")).collect();
        let mut options = fs::OpenOptions::new();
        let mut file = options.create_new(true).write(true).mode(0o600).open(&self.password_file)?;
        file.write_all(password.as_bytes())?;
        self.run(&format!("CREATE ROLE {ROLE} LOGIN PASSWORD '{password}'"))
    }

    /// Makes a database.
    pub(crate) fn create_database(&self, name: &str) -> Result<Place> {
        self.run(&format!("CREATE DATABASE {name} OWNER {ROLE}"))?;
        let url = format!("postgres://{ROLE}@127.0.0.1:{}/{name}?sslmode=disable", self.port);
        Ok(Place { url, password_file: self.password_file.clone() })
    }

    /// Runs a statement, which others on the machine do not see.
    fn run(&self, statement: &str) -> Result {
        let mut psql = as_owner(&self.programs.join("psql"))?;
        psql.args(["-XAtq", "-v", "ON_ERROR_STOP=1", "-U", "postgres", "-d", "postgres"]);
        psql.arg("-h").arg(&self.folder).args(["-p", &self.port.to_string()]);
        let mut psql = psql.stdin(Stdio::piped()).stdout(Stdio::null()).spawn()?;
        psql.stdin.take().ok_or("psql reads nothing")?.write_all(statement.as_bytes())?;
        if psql.wait()?.success() { Ok(()) } else { Err("psql failed".into()) }
    }

    /// Stops it, once those who used it have ended.
    pub(crate) fn stop(self) -> Result {
        self.running.stop()
    }
}

/// Where Debian puts the newest version's programs.
fn programs() -> Result<PathBuf> {
    let versions = fs::read_dir("/usr/lib/postgresql")?.filter_map(|entry| Some(entry.ok()?.path()));
    let number = |path: &PathBuf| path.file_name()?.to_str()?.parse::<u32>().ok();
    let newest = versions.max_by_key(number).ok_or("PostgreSQL is not installed")?;
    Ok(newest.join("bin"))
}

/// One of them, as who may run it; it ends when this program does.
fn as_owner(program: &Path) -> Result<Command> {
    let mut command = Command::new("setpriv");
    if is_root()? {
        command.args(["--reuid", OWNER, "--regid", OWNER, "--clear-groups"]);
    }
    // An interrupt has the server end at once, whoever is still connected.
    command.args(["--pdeathsig", "INT"]).arg(program).current_dir("/").env("LC_ALL", "C.UTF-8");
    command.stdin(Stdio::null());
    Ok(command)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_starts_and_has_databases_with_a_password_until_it_is_stopped() {
        let folder = std::env::temp_dir().join(format!("xtask-postgres-{}", std::process::id()));
        fs::create_dir(&folder).unwrap();
        let postgres = Postgres::start(&folder).unwrap();
        let place = postgres.create_database("one").unwrap();
        let ask = |password: &str| {
            let mut psql = Command::new(postgres.programs.join("psql"));
            psql.args([
                "-XAtqw",
                "-d",
                &place.url,
                "-c",
                "SELECT current_user || ' ' || current_setting('fsync')",
            ]);
            psql.env("PGPASSWORD", password).output().unwrap()
        };
        let answer = ask(&fs::read_to_string(&place.password_file).unwrap());
        assert_eq!(String::from_utf8_lossy(&answer.stdout), "strongroom on\n", "{answer:?}");
        assert!(!ask("another").status.success());
        let port = postgres.port;
        postgres.stop().unwrap();
        assert!(std::net::TcpStream::connect(("127.0.0.1", port)).is_err());
        fs::remove_dir_all(folder).unwrap();
    }
}
