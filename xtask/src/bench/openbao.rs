//! OpenBao as people run it on one machine: raft storage, a file of audit records, the key-value engine of version 2.

use std::fs::{self, File};
use std::net::TcpListener;
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use serde_json::Value;

use super::cases::openbao_secrets;
use crate::Result;
use crate::http::{Answer, Api};
use crate::process::{Running, command, output};
use crate::server::Server;

/// How long it may take until it answers, and until it is unsealed.
const PATIENCE: Duration = Duration::from_secs(30);

/// Starts it in an empty folder, with the secrets that the cases ask for.
pub(super) fn start(program: &Path, folder: &Path) -> Result<Server> {
    fs::create_dir(folder)?;
    fs::create_dir(folder.join("raft"))?;
    let [port, cluster_port] = free_ports()?;
    let settings = folder.join("openbao.hcl");
    fs::write(&settings, configuration(folder, port, cluster_port))?;
    let log = File::create(folder.join("openbao.log"))?;
    let mut serve = command(program);
    serve.arg("server").arg("-config").arg(settings).stdout(Stdio::null()).stderr(log);
    let running = Running::start(&mut serve)?;
    let mut api = Api { authority: format!("127.0.0.1:{port}"), token: "none".to_owned() };

    patiently("it initialises", || api.post("/v1/sys/init", r#"{"secret_shares":1,"secret_threshold":1}"#))
        .and_then(|made| {
        let made: Value = serde_json::from_str(&made.body)?;
        let text = |value: &Value| value.as_str().map(str::to_owned).ok_or("OpenBao gives no key");
        let key = text(&made["keys"][0])?;
        api.token = text(&made["root_token"])?;
        patiently("it is unsealed", || api.post("/v1/sys/unseal", &format!(r#"{{"key":"{key}"}}"#)))
    })?;
    let engine = r#"{"type":"kv","options":{"version":"2"}}"#;
    patiently("the engine is there", || api.post("/v1/sys/mounts/secret", engine))?;
    for secret in openbao_secrets() {
        patiently("a secret is written", || api.send(secret.method, &secret.path, &secret.body, ""))?;
    }
    Ok(Server::other(running, api))
}

/// What its program says of itself.
pub(super) fn version(program: &Path) -> Result<String> {
    let text = output(command(program).arg("version"))?;
    Ok(text.split(" (").next().unwrap_or_default().to_owned())
}

fn configuration(folder: &Path, port: u16, cluster_port: u16) -> String {
    let folder = folder.display();
    format!(
        r#"storage "raft" {{
  path = "{folder}/raft"
  node_id = "bench"
}}
listener "tcp" {{
  address = "127.0.0.1:{port}"
  tls_disable = true
}}
audit "file" "file" {{
  options = {{
    file_path = "{folder}/audit.log"
  }}
}}
api_addr = "http://127.0.0.1:{port}"
cluster_addr = "http://127.0.0.1:{cluster_port}"
log_level = "warn"
disable_mlock = true
"#
    )
}

/// Two ports that are free now: it cannot choose its own and say which.
fn free_ports() -> Result<[u16; 2]> {
    let (one, two) = (TcpListener::bind("127.0.0.1:0")?, TcpListener::bind("127.0.0.1:0")?);
    Ok([one.local_addr()?.port(), two.local_addr()?.port()])
}

/// Asks again until the answer is a good one: each of its parts starts in its own time.
fn patiently(what: &str, ask: impl Fn() -> Result<Answer>) -> Result<Answer> {
    let started = Instant::now();
    loop {
        let answer = ask();
        match answer {
            Ok(answer) if (200..300).contains(&answer.status) => return Ok(answer),
            // What it says may hold a key; its status does not.
            last if started.elapsed() > PATIENCE => {
                let last = last.map_or_else(|error| error.to_string(), |answer| answer.status.to_string());
                return Err(format!("OpenBao was waited for until {what}: {last}").into());
            }
            _ => std::thread::sleep(Duration::from_millis(50)),
        }
    }
}
