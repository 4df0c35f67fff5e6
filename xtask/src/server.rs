//! A Strongroom (or the bare server beside it) on a free port of this machine.

use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::mpsc;
use std::time::Duration;

use crate::Result;
use crate::http::Api;
use crate::process::{Running, command};

/// How long a server may take until it says where it listens.
const PATIENCE: Duration = Duration::from_secs(60);

/// A server that listens.
pub(crate) struct Server {
    running: Running,
    pub(crate) api: Api,
}

/// A certificate and its key, as files.
pub(crate) struct Certificate {
    pub(crate) certificate: PathBuf,
    pub(crate) key: PathBuf,
}

impl Server {
    /// Starts `strongroom serve` on a data folder with these arguments, and over TLS if there is a certificate; its log goes
    /// to `log`.
    pub(crate) fn strongroom(
        binary: &Path,
        data_dir: &Path,
        log: &Path,
        args: &[&str],
        tls: Option<&Certificate>,
    ) -> Result<Self> {
        let mut serve = command(binary);
        serve.arg("serve").arg("--data-dir").arg(data_dir).args(["--listen", "127.0.0.1:0"]).args(args);
        if let Some(Certificate { certificate, key }) = tls {
            serve.arg("--tls-cert").arg(certificate).arg("--tls-key").arg(key);
        }
        let (running, authority) = start(serve, log)?;
        let token = fs::read_to_string(data_dir.join("first-api-key"))?.trim().to_owned();
        Ok(Self { running, api: Api { authority, token } })
    }

    /// Starts the bare server that answers with the bodies in `bodies`; it wants no key.
    pub(crate) fn floor(binary: &Path, bodies: &Path, log: &Path, tls: Option<&Certificate>) -> Result<Self> {
        let mut serve = command(binary);
        serve.arg("serve").arg(bodies);
        if let Some(Certificate { certificate, key }) = tls {
            serve.arg(certificate).arg(key);
        }
        let (running, authority) = start(serve, log)?;
        Ok(Self { running, api: Api { authority, token: "none".to_owned() } })
    }

    /// A server that was started in some other way.
    pub(crate) fn other(running: Running, api: Api) -> Self {
        Self { running, api }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.api.authority)
    }

    /// A figure of `/proc/PID/status` in kB, such as `VmRSS`.
    pub(crate) fn memory_kb(&self, name: &str) -> Result<u64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.running.pid()))?;
        let line = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
        let kb = line.and_then(|rest| rest.trim().strip_suffix(" kB"));
        Ok(kb.ok_or_else(|| format!("/proc has no {name}"))?.parse()?)
    }

    /// The processor time that the server has used so far, in seconds.
    pub(crate) fn cpu_seconds(&self) -> Result<f64> {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.running.pid()))?;
        // The program's name, in brackets, may hold anything; what follows it are numbers.
        let numbers = stat.rsplit_once(')').ok_or("/proc tells no times")?.1;
        let mut times = numbers.split_ascii_whitespace().skip(11).map(str::parse::<u64>);
        let (user, system) = (times.next().ok_or("no user time")??, times.next().ok_or("no system time")??);
        // Linux counts them in hundredths of a second on every machine that Strongroom runs on.
        Ok((user + system) as f64 / 100.0)
    }

    /// Stops the server as a service manager would.
    pub(crate) fn stop(self) -> Result {
        self.running.stop()
    }
}

/// Starts a server and waits for the line that says where it listens; returns the `host:port` of it.
fn start(mut serve: std::process::Command, log: &Path) -> Result<(Running, String)> {
    let stderr = File::create(log)?;
    let mut running = Running::start(serve.stdout(Stdio::piped()).stderr(stderr))?;
    let stdout = running.child().stdout.take().ok_or("the server's output is not connected")?;
    let (sender, receiver) = mpsc::channel();
    // Reads to the end, so that the server never writes into a closed or full pipe.
    std::thread::spawn(move || {
        for line in BufReader::new(stdout).lines().map_while(std::result::Result::ok) {
            if let Some(("URL", url)) = line.trim().split_once(' ') {
                let authority = url.trim().split("://").last().unwrap_or_default();
                let _ = sender.send(authority.trim_end_matches('/').to_owned());
            }
        }
    });
    let authority = receiver.recv_timeout(PATIENCE).map_err(|_| {
        let log = fs::read_to_string(log).unwrap_or_default();
        format!("the server did not say where it listens; its log:\n{log}")
    })?;
    Ok((running, authority))
}

/// A new empty folder under the target folder: on the disk that the build is on, never in memory.
pub(crate) fn scratch(name: &str) -> Result<PathBuf> {
    let folder = crate::build::target_dir().join("xtask").join(name);
    if folder.exists() {
        fs::remove_dir_all(&folder)?;
    }
    fs::create_dir_all(&folder)?;
    Ok(folder.canonicalize()?)
}
