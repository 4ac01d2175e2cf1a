//! Serialization of values: as text if they are text, which records are, else as a list of bytes.
//! JSON would otherwise need four characters for each byte of a snapshot.

use serde::{Deserialize, Deserializer, Serialize, Serializer};

#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum Form<T, B> {
    Text(T),
    Bytes(B),
}

pub(crate) fn serialize<S: Serializer>(value: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
    let form = match std::str::from_utf8(value) {
        Ok(text) => Form::Text(text),
        Err(_) => Form::Bytes(value),
    };
    form.serialize(serializer)
}

pub(crate) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<u8>, D::Error> {
    Ok(match Form::<String, Vec<u8>>::deserialize(from)? {
        Form::Text(text) => text.into_bytes(),
        Form::Bytes(bytes) => bytes,
    })
}

#[cfg(test)]
mod tests {
    use crate::{Entry, Key, Revision};

    #[test]
    fn text_travels_as_text_and_bytes_survive() {
        for value in [b"{\"v\":1}".to_vec(), Vec::new(), (0..=255).collect()] {
            let entry = Entry {
                key: Key::new("a/b").unwrap(),
                value,
                created: Revision(1),
                modified: Revision(2),
                lease: None,
            };
            let json = serde_json::to_string(&entry).unwrap();
            assert_eq!(
                serde_json::from_str::<Entry>(&json).unwrap(),
                entry,
                "{json}"
            );
        }
    }
}
