//! Which templates there are, and where each goes.

use std::collections::{HashMap, HashSet};
use std::fs::{self, File};
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use strongroom_client::template::SIZE_MAX;

use super::Render;
use crate::failure::{Failure, Kind};
use crate::remote::input;

/// Files in a folder of templates.
const COUNT_MAX: usize = 10_000;
/// Folders in folders.
const DEPTH_MAX: usize = 64;

/// Where a rendered template goes.
pub(super) enum Target {
    Stdout,
    /// Nowhere: it is only checked.
    Nothing,
    File(PathBuf),
}

/// A template that was read.
pub(super) struct Source {
    /// What it is called in what people are told.
    pub(super) name: String,
    pub(super) target: Target,
    pub(super) text: String,
}

pub(super) fn find(render: &Render) -> Result<Vec<Source>, Failure> {
    if render.source.as_os_str() == "-" {
        let stdin = input::stdin().map_err(|error| unreadable("standard input", error))?;
        let text = read("standard input", stdin)?;
        return match &render.output_dir {
            Some(_) => Err(usage("standard input has no name, so it needs --out and not --output-dir")),
            None => Ok(vec![Source { name: "standard input".to_owned(), target: single(render), text }]),
        };
    }
    let name = render.source.display().to_string();
    let failed = |error| unreadable(&name, error);
    let found = match fs::metadata(&render.source).map_err(failed)? {
        folder if folder.is_dir() => folder_of(render)?,
        _ => {
            let target = match (&render.output_dir, render.source.file_name()) {
                (Some(folder), Some(file)) => Target::File(folder.join(stem(&file.to_string_lossy()))),
                _ => single(render),
            };
            vec![(render.source.clone(), target)]
        }
    };
    see_apart(&found)?;
    let read_one = |(path, target): (PathBuf, Target)| {
        let name = path.display().to_string();
        let file = File::open(&path).map_err(|error| unreadable(&name, error))?;
        Ok(Source { text: read(&name, file)?, name, target })
    };
    found.into_iter().map(read_one).collect()
}

/// The name without the ending that tells that it is a template.
pub(super) fn stem(name: &str) -> &str {
    let stem = name.strip_suffix(".tmpl").or_else(|| name.strip_suffix(".tpl")).unwrap_or(name);
    if stem.is_empty() || stem.ends_with('/') { name } else { stem }
}

fn single(render: &Render) -> Target {
    match &render.output {
        _ if render.check => Target::Nothing,
        Some(file) if file.as_os_str() != "-" => Target::File(file.clone()),
        _ => Target::Stdout,
    }
}

fn folder_of(render: &Render) -> Result<Vec<(PathBuf, Target)>, Failure> {
    let source = &render.source;
    if render.output_dir.is_none() && !render.check {
        return Err(
            usage("a folder of templates is rendered into another folder").todo("add --output-dir DIR")
        );
    }
    let failed = |error| unreadable(&source.display().to_string(), error);
    let root = source.canonicalize().map_err(failed)?;
    if let Some(output) = render.output_dir.as_ref().and_then(|output| output.canonicalize().ok())
        && output.starts_with(&root)
    {
        let what =
            format!("{} is within the folder of templates, and would be taken for some", output.display());
        return Err(usage(&what).todo("name a folder outside of it"));
    }
    let mut files = Vec::new();
    walk(&root, source, 0, &mut files)?;
    files.sort();
    let target = |path: &Path| match (&render.output_dir, path.strip_prefix(source)) {
        (Some(output), Ok(inner)) => Target::File(output.join(stem(&inner.to_string_lossy()))),
        _ => Target::Nothing,
    };
    Ok(files.into_iter().map(|path| (path.clone(), target(&path))).collect())
}

fn walk(root: &Path, folder: &Path, depth: usize, files: &mut Vec<PathBuf>) -> Result<(), Failure> {
    let failed = |error| unreadable(&folder.display().to_string(), error);
    if depth > DEPTH_MAX || files.len() > COUNT_MAX {
        let what = format!(
            "{} holds more than {COUNT_MAX} files, or {DEPTH_MAX} folders in folders",
            root.display()
        );
        return Err(Failure::new(what).kind(Kind::Invalid));
    }
    for entry in fs::read_dir(folder).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        let (path, kind) = (entry.path(), entry.file_type().map_err(failed)?);
        let invalid = |what: &str| Failure::new(format!("{} {what}", path.display())).kind(Kind::Invalid);
        if path.to_str().is_none() {
            return Err(invalid("has a name that is not UTF-8"));
        }
        if kind.is_dir() {
            walk(root, &path, depth + 1, files)?;
        } else if kind.is_symlink() {
            let end = path.canonicalize().map_err(|error| invalid("leads nowhere").because(error))?;
            if !end.starts_with(root) {
                return Err(invalid("is a link that leads out of the folder of templates"));
            }
            // A folder that is linked to has its own place in the tree.
            files.extend(end.is_file().then_some(path));
        } else if kind.is_file() {
            files.push(path);
        } else {
            return Err(invalid("is neither a file nor a folder"));
        }
    }
    Ok(())
}

/// Sees to it that no file is written twice, and no template written over.
fn see_apart(found: &[(PathBuf, Target)]) -> Result<(), Failure> {
    let identity = |path: &Path| fs::metadata(path).ok().map(|file| (file.dev(), file.ino()));
    let sources: HashSet<_> = found.iter().filter_map(|(path, _)| identity(path)).collect();
    let mut targets: HashMap<&Path, &Path> = HashMap::new();
    for (path, target) in found {
        let Target::File(target) = target else { continue };
        if identity(target).is_some_and(|target| sources.contains(&target)) {
            let what = format!("{} is a template itself, and would be written over", target.display());
            return Err(Failure::new(what)
                .kind(Kind::Invalid)
                .todo("name another file or folder to write to"));
        }
        if let Some(other) = targets.insert(target, path) {
            let (other, path) = (other.display(), path.display());
            let what = format!("{other} and {path} would both be written to {}", target.display());
            return Err(Failure::new(what).kind(Kind::Invalid).todo("rename one of them"));
        }
    }
    Ok(())
}

fn read(name: &str, file: File) -> Result<String, Failure> {
    let mut bytes = Vec::new();
    let limit = SIZE_MAX as u64 + 1;
    file.take(limit).read_to_end(&mut bytes).map_err(|error| unreadable(name, error))?;
    String::from_utf8(bytes)
        .map_err(|_| Failure::new(format!("{name} is not text in UTF-8")).kind(Kind::Invalid))
}

fn unreadable(name: &str, error: io::Error) -> Failure {
    let kind = if error.kind() == io::ErrorKind::NotFound { Kind::Missing } else { Kind::Invalid };
    Failure::new(format!("{name} cannot be read")).because(error).kind(kind)
}

fn usage(what: &str) -> Failure {
    Failure::new(what).kind(Kind::Usage)
}

#[cfg(test)]
mod tests {
    use super::stem;

    #[test]
    fn an_ending_of_templates_goes() {
        for (name, expected) in [
            ("app.conf.tmpl", "app.conf"),
            ("a/b.yaml.tpl", "a/b.yaml"),
            ("a.tmpl.tmpl", "a.tmpl"),
            ("a.conf", "a.conf"),
            (".tmpl", ".tmpl"),
            ("a/.tpl", "a/.tpl"),
        ] {
            assert_eq!(stem(name), expected);
        }
    }
}
