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

impl Server {
    /// Starts `strongroom serve` on a data folder; its log goes to `log`.
    pub(crate) fn strongroom(binary: &Path, data_dir: &Path, log: &Path) -> Result<Self> {
        let mut serve = command(binary);
        serve.arg("serve").arg("--data-dir").arg(data_dir).args(["--listen", "127.0.0.1:0"]);
        let (running, authority) = start(serve, log)?;
        let token = fs::read_to_string(data_dir.join("first-api-key"))?.trim().to_owned();
        Ok(Self { running, api: Api { authority, token } })
    }

    /// Starts the bare server that answers with the bodies in `bodies`; it wants no key.
    pub(crate) fn floor(binary: &Path, bodies: &Path, log: &Path) -> Result<Self> {
        let mut serve = command(binary);
        serve.arg(bodies);
        let (running, authority) = start(serve, log)?;
        Ok(Self { running, api: Api { authority, token: "none".to_owned() } })
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
                let _ =
                    sender.send(url.trim().trim_start_matches("http://").trim_end_matches('/').to_owned());
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
