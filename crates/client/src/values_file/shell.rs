//! What a POSIX shell reads: `eval "$(strongroom export --format shell …)"`.

use zeroize::Zeroizing;

use super::{ZeroByte, refuse_zero};

/// Writes `export NAME='value'` lines. In single quotes a shell takes everything as it stands; a single quote itself is
/// written `'\''` (POSIX, Shell Command Language 2.2.2).
///
/// # Errors
/// [`ZeroByte`].
pub fn write(pairs: &[(&str, &str)]) -> Result<Zeroizing<String>, ZeroByte> {
    let room = pairs.iter().map(|(name, value)| name.len() + 4 * value.len() + 12).sum();
    let mut out = Zeroizing::new(String::with_capacity(room));
    for (name, value) in pairs {
        refuse_zero(name, value)?;
        out.extend(["export ", name, "='"]);
        for (index, part) in value.split('\'').enumerate() {
            out.push_str(if index == 0 { "" } else { r"'\''" });
            out.push_str(part);
        }
        out.push_str("'\n");
    }
    Ok(out)
}
