//! No circle of files inside a crate: of two files, at most one knows the other.
//!
//! ```text
//!   crates/*/src/**.rs ─ syn ─► paths that begin with crate, super or self
//!                               └─ the file that each leads to, through `pub use` ─► circles
//! ```
//!
//! A module and its children are no circle: a child may use what its parent has, and the parent is
//! made of its children.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use syn::visit::{self, Visit};

/// A module's path within its crate; empty for the crate's root.
type Module = Vec<String>;

/// What one file says.
#[derive(Default)]
struct File {
    /// Paths to other modules' items, each from the crate's root.
    used: Vec<Vec<String>>,
    /// Names that it re-exports, with where they are from.
    exported: BTreeMap<String, Vec<String>>,
}

pub(crate) fn findings(root: &Path) -> Vec<String> {
    let Ok(reader) = fs::read_dir(root.join("crates")) else {
        return vec!["crates: cannot be listed".to_owned()];
    };
    let mut names: Vec<String> = reader
        .flatten()
        .map(|item| item.file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    let mut findings = Vec::new();
    for name in names {
        let mut sources = BTreeMap::new();
        collect(
            &root.join("crates").join(&name).join("src"),
            &[],
            &mut sources,
        );
        findings.extend(of_crate(&name, &sources));
    }
    findings
}

/// The text of each module that is a file, but for tests.
fn collect(folder: &Path, module: &[String], sources: &mut BTreeMap<Module, String>) {
    let Ok(reader) = fs::read_dir(folder) else {
        return;
    };
    for item in reader.flatten() {
        let (path, name) = (item.path(), item.file_name());
        let name = name.to_string_lossy();
        let stem = name.strip_suffix(".rs").unwrap_or(&name).to_owned();
        if matches!(&*stem, "tests" | "main") {
            continue;
        }
        let mut below = module.to_vec();
        if !matches!(&*name, "mod.rs" | "lib.rs") {
            below.push(stem);
        }
        if path.is_dir() {
            collect(&path, &below, sources);
        } else if let Ok(text) = fs::read_to_string(&path) {
            sources.insert(below, text);
        }
    }
}

fn of_crate(name: &str, sources: &BTreeMap<Module, String>) -> Vec<String> {
    let files: BTreeMap<&Module, File> = sources
        .iter()
        .filter_map(|(module, text)| Some((module, read(module, &syn::parse_file(text).ok()?))))
        .collect();
    let leads_to = |module: &Module, file: &File| -> BTreeSet<Module> {
        let led = file.used.iter().filter_map(|path| home(path, &files, 0));
        led.filter(|other| !other.starts_with(module) && !other.is_empty())
            .collect()
    };
    let edges: BTreeMap<Module, BTreeSet<Module>> = files
        .iter()
        .map(|(module, file)| ((*module).clone(), leads_to(module, file)))
        .collect();
    circles(&edges)
        .into_iter()
        .map(|circle| {
            let names: Vec<String> = circle.iter().map(|module| module.join("::")).collect();
            format!("crates/{name}: a circle of files: {}", names.join(", "))
        })
        .collect()
}

/// The module that an item is defined in, as far as files say.
fn home(path: &[String], files: &BTreeMap<&Module, File>, steps: usize) -> Option<Module> {
    let length = (0..=path.len())
        .rev()
        .find(|length| files.contains_key(&path[..*length].to_vec()))?;
    let module = path[..length].to_vec();
    let exported = path
        .get(length)
        .and_then(|name| files[&module].exported.get(name));
    match exported {
        // A re-export of a re-export ends somewhere, unless it is a mistake.
        Some(origin) if steps < 8 => home(origin, files, steps + 1).or(Some(module)),
        _ => Some(module),
    }
}

fn read(module: &Module, file: &syn::File) -> File {
    let mut reader = Reader {
        module: module.clone(),
        file: File::default(),
    };
    reader.visit_file(file);
    reader.file
}

struct Reader {
    module: Module,
    file: File,
}

impl Reader {
    /// The path from the crate's root; none for what is not of this crate.
    fn absolute(&self, path: &[String]) -> Option<Vec<String>> {
        let mut at = self.module.clone();
        let mut rest = path.iter().peekable();
        match rest.next()?.as_str() {
            "crate" => at.clear(),
            "self" => {}
            "super" => {
                at.pop();
                while rest.next_if(|word| *word == "super").is_some() {
                    at.pop();
                }
            }
            _ => return None,
        }
        at.extend(rest.cloned());
        Some(at)
    }

    fn take_use(&mut self, tree: &syn::UseTree, before: &mut Vec<String>, is_public: bool) {
        match tree {
            syn::UseTree::Path(path) => {
                before.push(path.ident.to_string());
                self.take_use(&path.tree, before, is_public);
                before.pop();
            }
            syn::UseTree::Group(group) => {
                for tree in &group.items {
                    self.take_use(tree, before, is_public);
                }
            }
            syn::UseTree::Name(name) => self.take_name(&name.ident, &name.ident, before, is_public),
            syn::UseTree::Rename(rename) => {
                self.take_name(&rename.ident, &rename.rename, before, is_public);
            }
            syn::UseTree::Glob(_) => {
                if let Some(path) = self.absolute(before) {
                    self.file.used.push(path);
                }
            }
        }
    }

    fn take_name(
        &mut self,
        name: &syn::Ident,
        known_as: &syn::Ident,
        before: &[String],
        is_public: bool,
    ) {
        let mut path = before.to_vec();
        if name != "self" {
            path.push(name.to_string());
        }
        // A module re-exports its children by a path that begins with their name.
        let absolute = self
            .absolute(&path)
            .or_else(|| is_public.then(|| [&self.module[..], &path[..]].concat()));
        let Some(absolute) = absolute else { return };
        if is_public {
            self.file.exported.insert(known_as.to_string(), absolute);
        } else {
            self.file.used.push(absolute);
        }
    }
}

fn is_test(attributes: &[syn::Attribute]) -> bool {
    attributes.iter().any(|attribute| {
        attribute.path().is_ident("cfg")
            && matches!(&attribute.meta, syn::Meta::List(list) if list.tokens.to_string() == "test")
    })
}

impl<'a> Visit<'a> for Reader {
    fn visit_item_mod(&mut self, item: &'a syn::ItemMod) {
        if !is_test(&item.attrs) {
            visit::visit_item_mod(self, item);
        }
    }

    fn visit_item_use(&mut self, item: &'a syn::ItemUse) {
        let is_public = !matches!(item.vis, syn::Visibility::Inherited);
        self.take_use(&item.tree, &mut Vec::new(), is_public);
    }

    fn visit_path(&mut self, path: &'a syn::Path) {
        let words: Vec<String> = path
            .segments
            .iter()
            .map(|segment| segment.ident.to_string())
            .collect();
        if words.len() > 1
            && let Some(absolute) = self.absolute(&words)
        {
            self.file.used.push(absolute);
        }
        visit::visit_path(self, path);
    }
}

/// Groups of modules that lead to each other, each sorted.
fn circles(edges: &BTreeMap<Module, BTreeSet<Module>>) -> Vec<Vec<Module>> {
    let reached: BTreeMap<&Module, BTreeSet<&Module>> = edges
        .keys()
        .map(|module| (module, reach(module, edges)))
        .collect();
    let mut found: BTreeSet<Vec<Module>> = BTreeSet::new();
    for (module, others) in &reached {
        let back = |other: &&&Module| {
            reached
                .get(**other)
                .is_some_and(|reached| reached.contains(*module))
        };
        let mut circle: Vec<Module> = others.iter().filter(back).map(|m| (*m).clone()).collect();
        if circle.len() > 1 {
            circle.sort();
            found.insert(circle);
        }
    }
    found.into_iter().collect()
}

/// All modules that one leads to, itself among them where it is in a circle.
fn reach<'a>(
    module: &Module,
    edges: &'a BTreeMap<Module, BTreeSet<Module>>,
) -> BTreeSet<&'a Module> {
    let mut reached = BTreeSet::new();
    let mut next: Vec<&Module> = edges[module].iter().collect();
    while let Some(module) = next.pop() {
        if reached.insert(module) {
            next.extend(edges.get(module).into_iter().flatten());
        }
    }
    reached
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(files: &[(&str, &str)]) -> Vec<String> {
        let sources = files.iter().map(|(module, text)| {
            let module = module.split("::").filter(|word| !word.is_empty());
            (module.map(str::to_owned).collect(), (*text).to_owned())
        });
        of_crate("x", &sources.collect())
    }

    #[test]
    fn a_circle_is_found_through_what_the_root_re_exports() {
        let files = [
            ("", "mod a; mod b; pub use a::A; pub(crate) use b::B;"),
            ("a", "use crate::B; pub struct A(B);"),
            ("b", "pub struct B; impl B { fn of(a: &crate::A) {} }"),
        ];
        assert_eq!(found(&files), ["crates/x: a circle of files: a, b"]);
    }

    #[test]
    fn a_line_is_no_circle_nor_are_a_parent_and_its_tests() {
        let files = [
            ("", "mod a; mod b; pub use a::A;"),
            ("a", "mod c; pub struct A; fn f() { c::g(); }"),
            ("a::c", "use super::A; pub fn g() -> A { A }"),
            (
                "b",
                "use crate::{A, a::c::g}; #[cfg(test)] mod tests { use crate::b; }",
            ),
        ];
        assert_eq!(found(&files), Vec::<String>::new());
    }

    #[test]
    fn a_circle_of_three_is_one_finding() {
        let files = [
            ("a", "use crate::b::f;"),
            ("b", "use super::c::{g, h};"),
            ("c", "fn f() { crate::a::x(); }"),
            ("d", "use crate::a;"),
        ];
        assert_eq!(found(&files), ["crates/x: a circle of files: a, b, c"]);
    }
}
