//! The files of `deploy/`: whether systemd, Docker, Compose, nginx, Helm and Kubernetes take them as they are meant.

use std::fs;
use std::path::Path;

use crate::process::{command, output, run};
use crate::server::scratch;
use crate::{Result, setup};

const UNIT: &str = "deploy/systemd/strongroom.service";
/// Of a hundred, as `systemd-analyze security` counts what a unit may do: it is 11 with the network, which a server needs.
const EXPOSURE: &str = "--threshold=11";

pub(crate) fn check(strongroom: &Path) -> Result {
    let tools = setup::deploy_tools()?;
    run(command(tools.join("hadolint")).arg("deploy/docker/Dockerfile"))?;
    systemd(strongroom)?;
    run(command(tools.join("python")).arg("deploy/check.py").arg("--bin").arg(strongroom))
}

/// With the program that was built, since one that is not there is an error, and with what may be added to the unit.
fn systemd(strongroom: &Path) -> Result {
    let folder = scratch("systemd")?;
    let unit = folder.join("strongroom.service");
    let text = fs::read_to_string(UNIT)?;
    let installed = "/usr/local/bin/strongroom";
    if !text.contains(installed) {
        return Err(format!("{UNIT} does not start {installed}").into());
    }
    fs::write(&unit, text.replace(installed, &strongroom.display().to_string()))?;
    run(command("systemd-analyze").args(["verify", "--man=no"]).arg(&unit))?;
    let more = folder.join("strongroom.service.d");
    fs::create_dir_all(&more)?;
    fs::copy("deploy/systemd/root-key.conf", more.join("root-key.conf"))?;
    run(command("systemd-analyze").args(["verify", "--man=no"]).arg(&unit))?;
    // Its table of what a unit could do without is for the one who looks into a failure.
    output(command("systemd-analyze").args(["security", "--no-pager", "--offline=true", EXPOSURE]).arg(&unit))
        .map(drop)
}
