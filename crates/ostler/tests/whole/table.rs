//! The operation table and the code: each has what the other has.

use std::collections::BTreeSet;

use proto::{Form, table};

#[test]
fn every_row_has_a_function_and_every_function_a_row() {
    let in_agent: BTreeSet<&str> = control::ops::pairs().map(|(name, _)| *name).collect();
    let mut rows = BTreeSet::new();
    for row in table::rows() {
        rows.insert(row.name);
        match row.form {
            Form::Index => {
                assert!(
                    http::index::has_answer(row),
                    "{} has no answer",
                    row.label()
                );
                assert!(
                    !in_agent.contains(row.name),
                    "{} is answered twice",
                    row.label()
                );
            }
            _ => assert!(
                in_agent.contains(row.name),
                "{} has no function",
                row.label()
            ),
        }
    }
    for name in in_agent {
        assert!(rows.contains(name), "function {name} has no row");
    }
}

#[test]
fn unbuilt_parameters_are_counted() {
    use model::schema::Unbuilt;
    let fields = table::rows().flat_map(|row| row.params.iter().flat_map(|group| group.iter()));
    let unbuilt = fields
        .filter(|field| field.unbuilt != Unbuilt::Nothing)
        .count();
    println!("{unbuilt} parameters are unbuilt, wholly or in some values");
}
