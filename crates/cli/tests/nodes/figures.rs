//! What the tests measured, to be read after a run: of tests that pass nothing is shown.

use std::fs::{self, File};
use std::io::Write as _;
use std::path::Path;

use strongroom_domain::clock::{Clock, SystemClock};

/// Prints a line, and adds it to `figures/nodes.txt` in the target folder.
pub(crate) fn tell(text: &str) {
    eprintln!("{text}");
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).with_file_name("figures");
    fs::create_dir_all(&folder).unwrap();
    let mut file = File::options().create(true).append(true).open(folder.join("nodes.txt")).unwrap();
    // In one piece, as several tests may write at once.
    file.write_all(format!("{:.0} {text}\n", SystemClock.now()).as_bytes()).unwrap();
}
