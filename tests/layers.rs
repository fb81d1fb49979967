//! The layers of the library: no file imports from a layer above its own, so there is no circle.
//!
//! [`LAYERS`] lists every file of `src`, from the lowest to the highest. A file may use the files
//! before it in the list. `lib.rs` and each `mod.rs` only collect their children: a name that they
//! re-export counts as the file that defines it. Unit tests may use anything.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

/// One line for each folder or group, with the files in their order. DESIGN.md shows the same
/// lines.
const LAYERS: &str = include_str!("data/layers.txt");

/// The files of the library by their module path, as in `scopes::tenant`; the text has no comments
/// and no unit tests.
struct Source {
    files: BTreeMap<String, String>,
}

impl Source {
    fn read() -> Self {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
        let mut files = BTreeMap::new();
        let mut folders = vec![root.clone()];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    folders.push(path);
                } else if path.extension().is_some_and(|extension| extension == "rs") {
                    let name = path.strip_prefix(&root).unwrap().with_extension("");
                    let parts: Vec<_> = name.iter().map(|part| part.to_str().unwrap()).collect();
                    files.insert(parts.join("::"), code(&fs::read_to_string(&path).unwrap()));
                }
            }
        }
        Self { files }
    }

    /// The text of the file that only collects the children of `module`.
    fn collector(&self, module: &[&str]) -> Option<&str> {
        let name = if module.is_empty() { "lib".into() } else { module.join("::") + "::mod" };
        self.files.get(&name).map(String::as_str)
    }

    /// The file that an absolute path such as `scopes::Tenant` leads to.
    fn file_of(&self, path: &[&str]) -> String {
        for len in (1..=path.len()).rev() {
            let module = path[..len].join("::");
            if self.files.contains_key(&module) {
                return module;
            }
            if let Some(text) = self.collector(&path[..len]) {
                return self.through(&path[..len], text, path.get(len));
            }
        }
        self.through(&[], self.collector(&[]).unwrap(), path.first())
    }

    /// The file behind a name that `module` re-exports.
    fn through(&self, module: &[&str], text: &str, name: Option<&&str>) -> String {
        // A folder as a whole; the names that follow it are other paths.
        let Some(name) = name else { return [module, &["mod"]].concat().join("::") };
        let exported = uses(text).into_iter().find(|path| path.last().is_some_and(|n| n == name));
        let Some(exported) = exported else {
            panic!("`{}` doesn't re-export `{name}`", module.join("::"));
        };
        let exported: Vec<&str> = exported.iter().map(String::as_str).collect();
        match exported[..] {
            ["crate", ref rest @ ..] => self.file_of(rest),
            ["self", ref rest @ ..] => self.file_of(&[module, rest].concat()),
            ref relative => self.file_of(&[module, relative].concat()),
        }
    }

    /// The files that `file` uses.
    fn used_by(&self, file: &str) -> Vec<String> {
        let module: Vec<&str> = file.split("::").collect();
        let mut used = Vec::new();
        for path in uses(&self.files[file]).iter().chain(&inline_paths(&self.files[file])) {
            let path: Vec<&str> = path.iter().map(String::as_str).collect();
            let climbed = path.iter().take_while(|part| **part == "super").count();
            match path[..] {
                ["crate", ref rest @ ..] => used.push(self.file_of(rest)),
                ["super", ..] => {
                    let above = &module[..module.len() - climbed];
                    used.push(self.file_of(&[above, &path[climbed..]].concat()));
                }
                _ => {}
            }
        }
        used.retain(|other| other != file && !other.ends_with("::mod"));
        used.sort();
        used.dedup();
        used
    }
}

/// A file without its comments and its unit tests.
fn code(text: &str) -> String {
    let text = text.split("#[cfg(test)]\nmod tests {").next().unwrap();
    let lines = text.lines().filter(|line| !line.trim_start().starts_with("//"));
    lines.collect::<Vec<_>>().join("\n")
}

/// The paths of all `use` items, with their braces resolved.
fn uses(text: &str) -> Vec<Vec<String>> {
    let mut paths = Vec::new();
    for (at, _) in text.match_indices("use ") {
        let starts_item = at == 0 || text[..at].ends_with(['\n', ' ', ')']);
        let line_start = text[..at].rfind('\n').map_or(0, |newline| newline + 1);
        let before = text[line_start..at].trim();
        if starts_item && (before.is_empty() || before.starts_with("pub")) {
            let item = &text[at + "use ".len()..];
            let item = &item[..item.find(';').expect("the end of an import")];
            expand(&[], &item.split_whitespace().collect::<String>(), &mut paths);
        }
    }
    paths
}

fn expand(prefix: &[String], tree: &str, paths: &mut Vec<Vec<String>>) {
    let mut parts = prefix.to_vec();
    let mut rest = tree;
    loop {
        if let Some(group) = rest.strip_prefix('{') {
            let group = group.strip_suffix('}').expect("a closing brace");
            let (mut depth, mut start) = (0, 0);
            for (at, character) in group.char_indices().chain([(group.len(), ',')]) {
                match character {
                    '{' => depth += 1,
                    '}' => depth -= 1,
                    ',' if depth == 0 => {
                        if start < at {
                            expand(&parts, &group[start..at], paths);
                        }
                        start = at + 1;
                    }
                    _ => {}
                }
            }
            return;
        }
        if let Some((part, behind)) = rest.split_once("::") {
            parts.push(part.to_owned());
            rest = behind;
            continue;
        }
        // `Name` or `Nameas_Other`, as the spaces are gone.
        let name = rest.split("as").next().filter(|_| rest.contains("as_")).unwrap_or(rest);
        if name != "self" {
            parts.push(name.to_owned());
        }
        paths.push(parts);
        return;
    }
}

/// Paths that begin with `crate::` and `super::` in the middle of code.
fn inline_paths(text: &str) -> Vec<Vec<String>> {
    let lines = text.lines().filter(|line| !line.trim_start().starts_with("#["));
    let mut paths = Vec::new();
    for line in lines {
        let is_import = line.trim_start().starts_with("use ") || line.contains(" use ");
        for start in ["crate::", "super::"] {
            for (at, _) in line.match_indices(start).filter(|_| !is_import) {
                let is_part = |c: char| c.is_alphanumeric() || matches!(c, '_' | ':');
                let path = line[at..].split(|c| !is_part(c)).next().unwrap();
                if !line[..at].ends_with("super::") {
                    let parts = path.split("::").filter(|part| !part.is_empty());
                    paths.push(parts.map(str::to_owned).collect());
                }
            }
        }
    }
    paths
}

/// The module paths of the list, from the lowest on.
fn layers() -> Vec<String> {
    let lines = LAYERS.lines().filter(|line| !line.trim().is_empty());
    let mut files = Vec::new();
    for line in lines {
        let (folder, names) = line.split_once(':').expect("FOLDER: FILE FILE ...");
        let folder = folder.trim().trim_end_matches('/');
        for name in names.split_whitespace() {
            files.push(match folder {
                "." => name.to_owned(),
                _ => format!("{}::{name}", folder.replace('/', "::")),
            });
        }
    }
    files
}

#[test]
fn no_file_imports_from_a_layer_above_its_own() {
    let (source, layers) = (Source::read(), layers());
    let layer = |file: &str| layers.iter().position(|other| other == file);
    let mut wrong = Vec::new();
    for file in source.files.keys().filter(|file| *file != "lib" && !file.ends_with("::mod")) {
        let Some(own) = layer(file) else {
            wrong.push(format!("{file} is in no layer"));
            continue;
        };
        for used in source.used_by(file) {
            if layer(&used).is_none_or(|other| other >= own) {
                wrong.push(format!("{file} uses {used}"));
            }
        }
    }
    for file in &layers {
        if !source.files.contains_key(file) {
            wrong.push(format!("{file} is listed and not there"));
        }
    }
    assert!(wrong.is_empty(), "{} wrong:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn a_collecting_file_has_no_logic() {
    for (file, text) in Source::read().files {
        if file == "lib" || file.ends_with("::mod") {
            for keyword in ["fn ", "impl", "struct ", "enum "] {
                let found = text.lines().find(|line| {
                    let line = line.trim_start().trim_start_matches("pub(crate) ");
                    line.trim_start_matches("pub ").starts_with(keyword) && !line.contains("Readme")
                });
                let is_doctest = file == "lib" && keyword == "struct ";
                assert!(is_doctest || found.is_none(), "{file}: {}", found.unwrap_or_default());
            }
        }
    }
}

#[test]
fn the_picture_in_the_design_is_the_list() {
    let design =
        fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("DESIGN.md")).unwrap();
    for line in LAYERS.lines() {
        assert!(design.contains(line), "DESIGN.md lacks the layer {line:?}");
    }
}
