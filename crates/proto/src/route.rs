//! From method and path to a row.

use std::collections::HashMap;

use crate::{Row, Verb};

/// The row for a path, with the values of its path parameters.
#[derive(Debug, Clone)]
pub struct Match {
    pub row: &'static Row,
    pub path_params: Vec<(&'static str, String)>,
}

#[derive(Default)]
struct Branch {
    rows: HashMap<Verb, &'static Row>,
    words: HashMap<&'static str, Branch>,
    /// The name of the parameter at this place, and the branch below it.
    parameter: Option<(&'static str, Box<Branch>)>,
}

/// The table as a tree of path segments.
pub struct Router {
    root: Branch,
}

/// Parameters that take the rest of the path: volume ids contain slashes.
const REST: [&str; 2] = ["volume", "upid"];

impl Router {
    pub fn new(table: impl IntoIterator<Item = &'static Row>) -> Self {
        let mut root = Branch::default();
        for row in table {
            root.insert(row);
        }
        Self { root }
    }

    /// Finds the row. `segments` are percent-decoded and not empty; a path may contain extra
    /// slashes.
    pub fn find(&self, verb: Verb, segments: &[String]) -> Option<Match> {
        let mut path_params = Vec::new();
        let branch = self.root.descend(segments, &mut path_params)?;
        let row = branch.rows.get(&verb)?;
        Some(Match { row, path_params })
    }
}

impl Branch {
    fn insert(&mut self, row: &'static Row) {
        let mut branch = self;
        for segment in row.path.split('/').filter(|segment| !segment.is_empty()) {
            let name = segment.strip_prefix('{').and_then(|s| s.strip_suffix('}'));
            branch = match name {
                None => branch.words.entry(segment).or_default(),
                Some(name) => {
                    &mut branch
                        .parameter
                        .get_or_insert_with(|| (name, Box::default()))
                        .1
                }
            };
        }
        branch.rows.insert(row.verb, row);
    }

    fn descend(
        &self,
        segments: &[String],
        params: &mut Vec<(&'static str, String)>,
    ) -> Option<&Branch> {
        let Some((first, rest)) = segments.split_first() else {
            return Some(self);
        };
        if let Some(branch) = self.words.get(first.as_str()) {
            return branch.descend(rest, params);
        }
        let (name, branch) = self.parameter.as_ref()?;
        if REST.contains(name) && branch.words.is_empty() {
            params.push((name, segments.join("/")));
            return Some(branch);
        }
        params.push((name, first.clone()));
        branch.descend(rest, params)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROWS: &[Row] = &[
        Row::get("/version", "version", ""),
        Row::get("/nodes/{node}/qemu/{vmid}", "qemu_index", ""),
        Row::delete(
            "/nodes/{node}/storage/{storage}/content/{volume}",
            "volume_delete",
            "",
        ),
    ];

    fn find(verb: Verb, path: &str) -> Option<Match> {
        let segments: Vec<String> = path
            .split('/')
            .filter(|s| !s.is_empty())
            .map(str::to_owned)
            .collect();
        Router::new(ROWS).find(verb, &segments)
    }

    #[test]
    fn parameters_are_taken_from_the_path() {
        let found = find(Verb::Get, "/nodes/a/qemu/100").unwrap();
        assert_eq!(found.row.name, "qemu_index");
        assert_eq!(
            found.path_params,
            [("node", "a".to_owned()), ("vmid", "100".to_owned())]
        );
    }

    #[test]
    fn a_volume_swallows_the_rest() {
        let found = find(
            Verb::Delete,
            "/nodes/a/storage/local/content/local:iso/x.iso",
        )
        .unwrap();
        assert_eq!(
            found.path_params[2],
            ("volume", "local:iso/x.iso".to_owned())
        );
    }

    #[test]
    fn another_verb_or_path_is_nothing() {
        for (verb, path) in [
            (Verb::Put, "/version"),
            (Verb::Get, "/nope"),
            (Verb::Get, "/nodes"),
        ] {
            assert!(find(verb, path).is_none(), "{path}");
        }
    }
}
