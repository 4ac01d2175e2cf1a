//! The envelope of every record in the store: versioned JSON that preserves unknown fields.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

#[derive(Debug, thiserror::Error)]
pub enum RecordError {
    #[error("record is not valid JSON of its type")]
    Malformed(#[from] serde_json::Error),
    #[error("record has version {found}, this program knows versions up to {known}")]
    Newer { found: u32, known: u32 },
}

/// A value as the store keeps it: `{"v": 1, "data": {…}, "extra": {…}}`.
///
/// Fields of `data` that this version does not know are moved to `extra` on reading and written
/// back into `data` on writing, so that an older member never loses what a newer one wrote. A
/// record of a newer version can be shown, but not decoded, and so never modified.
#[derive(Debug, Clone, PartialEq)]
pub struct Record<T> {
    pub data: T,
    extra: Map<String, Value>,
}

#[derive(Serialize, Deserialize)]
struct Envelope {
    v: u32,
    data: Map<String, Value>,
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    extra: Map<String, Value>,
}

impl<T> Record<T> {
    /// The format that this program writes.
    pub const VERSION: u32 = 1;

    pub fn new(data: T) -> Self {
        Self {
            data,
            extra: Map::new(),
        }
    }
}

impl<T: Serialize + DeserializeOwned> Record<T> {
    pub fn decode(bytes: &[u8]) -> Result<Self, RecordError> {
        let envelope: Envelope = serde_json::from_slice(bytes)?;
        if envelope.v > Self::VERSION {
            return Err(RecordError::Newer {
                found: envelope.v,
                known: Self::VERSION,
            });
        }
        let data: T = serde_json::from_value(Value::Object(envelope.data.clone()))?;
        let known = serde_json::to_value(&data)?;
        let mut extra = envelope.extra;
        for (key, value) in envelope.data {
            let kept = known.get(&key).is_some() || value.is_null();
            if !kept && !is_empty(&value) {
                extra.insert(key, value);
            }
        }
        Ok(Self { data, extra })
    }

    pub fn encode(&self) -> Result<Vec<u8>, RecordError> {
        let Value::Object(mut data) = serde_json::to_value(&self.data)? else {
            let reason = "a record's data must be an object";
            return Err(RecordError::Malformed(serde::ser::Error::custom(reason)));
        };
        for (key, value) in &self.extra {
            data.entry(key).or_insert_with(|| value.clone());
        }
        let envelope = Envelope {
            v: Self::VERSION,
            data,
            extra: Map::new(),
        };
        Ok(serde_json::to_vec(&envelope)?)
    }
}

/// A field that the type omits when it has its default (an empty map or list) is not unknown:
/// keeping it would restore it after it was cleared.
fn is_empty(value: &Value) -> bool {
    match value {
        Value::Array(items) => items.is_empty(),
        Value::Object(fields) => fields.is_empty(),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
    struct Old {
        name: String,
    }

    #[test]
    fn fields_of_a_newer_writer_survive_an_older_one() {
        let newer = br#"{"v":1,"data":{"name":"a","colour":"blue","size":3}}"#;
        let mut record = Record::<Old>::decode(newer).unwrap();
        record.data.name = "b".to_owned();
        let written: Value = serde_json::from_slice(&record.encode().unwrap()).unwrap();
        assert_eq!(written["data"]["colour"], "blue");
        assert_eq!(written["data"]["name"], "b");
        assert_eq!(written["data"]["size"], 3);
    }

    #[test]
    fn a_newer_version_is_refused_not_guessed() {
        let error = Record::<Old>::decode(br#"{"v":9,"data":{"name":"a"}}"#).unwrap_err();
        assert!(matches!(error, RecordError::Newer { found: 9, known: 1 }));
    }
}
