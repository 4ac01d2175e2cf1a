//! Rules for every row.

use std::collections::HashSet;

use super::rows;
use crate::{Form, Verb};

#[test]
fn names_and_paths_are_unique() {
    let mut names = HashSet::new();
    let mut paths = HashSet::new();
    for row in rows() {
        assert!(names.insert(row.name), "name {} twice", row.name);
        assert!(paths.insert((row.verb, row.path)), "{} twice", row.label());
    }
}

#[test]
fn every_path_parameter_is_declared_and_required() {
    for row in rows() {
        for name in row
            .path
            .split('/')
            .filter_map(|s| s.strip_prefix('{')?.strip_suffix('}'))
        {
            let field = model::schema::find(row.params, name);
            // A volume may include its storage, so the schema does not require the storage in rows
            // with a volume; the path contains it nevertheless.
            let given_twice = name == "storage" && row.path.ends_with("{volume}");
            assert!(
                field.is_some_and(|f| !f.optional || given_twice),
                "{}: {name}",
                row.label()
            );
        }
    }
}

#[test]
fn only_reads_are_answered_from_the_index() {
    for row in rows().filter(|row| row.form == Form::Index) {
        assert_eq!(row.verb, Verb::Get, "{}", row.label());
    }
}

#[test]
fn every_pattern_compiles() {
    for row in rows() {
        for field in row.params.iter().flat_map(|group| group.iter()) {
            if let Some(pattern) = field.pattern {
                let compiled = regex_lite::Regex::new(&format!("^(?:{pattern})$"));
                assert!(
                    compiled.is_ok(),
                    "{} {}: {pattern}",
                    row.label(),
                    field.name
                );
            }
        }
    }
}
