//! Schemas: what a parameter, a field of an answer or a key of a property string looks like.
//!
//! One description serves them all. A schema is data in a `const`, so that it can be printed,
//! compared with another and turned into documentation; `check` holds a value against it.
//!
//! ```text
//!   Field { name, kind, optional, limits, format, … }     one parameter, one key
//!   &[Field]                                              an object, a property string
//!   check_object(groups, values)  → typed values, or every field's error at once
//!   property::parse / print       "virtio=BC:24:…,bridge=vmbr0"  ⇄  keys and values
//! ```

mod check;
pub mod format;
mod property;
mod shape;

pub use check::{Values, check_object, check_value};
pub use format::Format;
pub use property::{Properties, PropertyError, parse_properties, print_properties};
pub use shape::check_shape;

/// The type of a value, in the words of JSON schema.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Boolean,
    Integer,
    Number,
    String,
    Array,
    Object,
    Null,
    /// Unspecified, or several types.
    Any,
}

impl Kind {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Boolean => "boolean",
            Self::Integer => "integer",
            Self::Number => "number",
            Self::String => "string",
            Self::Array => "array",
            Self::Object => "object",
            Self::Null => "null",
            Self::Any => "any",
        }
    }
}

/// Which part of a field this version does not implement. It is checked like the rest and then
/// refused, so that no value is stored without effect.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unbuilt {
    Nothing,
    /// Any value but the default is refused.
    Whole,
    /// These values (of an enumeration) are refused.
    Values(&'static [&'static str]),
}

/// How a key of a property string is an alias of another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Alias {
    None,
    /// An alias of that key: `volume` for `file`.
    Of(&'static str),
    /// `virtio=MAC` sets `model` to this key's own name and `macaddr` to the value.
    Keyed {
        value: &'static str,
        key: &'static str,
    },
}

/// Checks a whole value beyond its format.
pub type CheckWhole = fn(&str) -> Result<(), PropertyError>;

/// One parameter, one field of an answer, one key of a property string.
///
/// A name like `net[n]` stands for `net0`, `net1`, … up to `indexed - 1`.
#[derive(Debug, Clone, Copy)]
pub struct Field {
    pub name: &'static str,
    pub kind: Kind,
    pub optional: bool,
    pub minimum: Option<f64>,
    pub maximum: Option<f64>,
    pub min_length: Option<usize>,
    /// None: as long as the format allows.
    pub max_length: Option<usize>,
    /// Allowed values; empty where any are.
    pub one_of: &'static [&'static str],
    /// A regular expression for the whole value.
    pub pattern: Option<&'static str>,
    pub format: Format,
    /// A further check of the whole value, for rules that its format cannot express.
    pub also: Option<CheckWhole>,
    /// The default when the field is left out; documentation only.
    pub default: Option<&'static str>,
    /// Another field that must be given with this one.
    pub requires: Option<&'static str>,
    /// The number of values of an indexed field.
    pub indexed: u32,
    /// True for the key that a property string may give without its name.
    pub is_default_key: bool,
    pub alias: Alias,
    pub unbuilt: Unbuilt,
    /// Schema of an array's items or an object's fields, for answers.
    pub inner: Shape,
}

/// The parts of a field or an answer.
#[derive(Debug, Clone, Copy)]
pub enum Shape {
    /// Unspecified.
    Any,
    Null,
    Boolean,
    Integer,
    Number,
    String,
    /// An object with these fields, in groups; `open` allows others too.
    Object {
        fields: &'static [&'static [Field]],
        open: bool,
    },
    Array(&'static Shape),
}

impl Shape {
    /// The kind of a plain value; none for one with parts.
    fn kind(&self) -> Option<Kind> {
        match self {
            Self::Boolean => Some(Kind::Boolean),
            Self::Integer => Some(Kind::Integer),
            Self::Number => Some(Kind::Number),
            Self::String => Some(Kind::String),
            Self::Any | Self::Null | Self::Object { .. } | Self::Array(_) => None,
        }
    }
}

impl Field {
    const fn new(name: &'static str, kind: Kind) -> Self {
        Self {
            name,
            kind,
            optional: false,
            minimum: None,
            maximum: None,
            min_length: None,
            max_length: None,
            one_of: &[],
            pattern: None,
            format: Format::Any,
            also: None,
            default: None,
            requires: None,
            indexed: 0,
            is_default_key: false,
            alias: Alias::None,
            unbuilt: Unbuilt::Nothing,
            inner: Shape::Any,
        }
    }

    pub const fn boolean(name: &'static str) -> Self {
        Self::new(name, Kind::Boolean)
    }

    pub const fn integer(name: &'static str) -> Self {
        Self::new(name, Kind::Integer)
    }

    pub const fn number(name: &'static str) -> Self {
        Self::new(name, Kind::Number)
    }

    pub const fn string(name: &'static str) -> Self {
        Self::new(name, Kind::String)
    }

    pub const fn any(name: &'static str) -> Self {
        Self::new(name, Kind::Any)
    }

    pub const fn array(name: &'static str, of: &'static Shape) -> Self {
        let mut field = Self::new(name, Kind::Array);
        field.inner = Shape::Array(of);
        field
    }

    pub const fn object(name: &'static str, fields: &'static [&'static [Field]]) -> Self {
        let mut field = Self::new(name, Kind::Object);
        field.inner = Shape::Object {
            fields,
            open: false,
        };
        field
    }

    /// An object without declared fields.
    pub const fn open_object(name: &'static str) -> Self {
        let mut field = Self::new(name, Kind::Object);
        field.inner = Shape::Object {
            fields: &[],
            open: true,
        };
        field
    }

    /// An alias of the key `of`.
    pub const fn alias(name: &'static str, of: &'static str) -> Self {
        let mut field = Self::new(name, Kind::String);
        field.optional = true;
        field.alias = Alias::Of(of);
        field
    }

    /// A key whose name is the value of `key` and whose value is that of `value`.
    pub const fn key_alias(name: &'static str, key: &'static str, value: &'static str) -> Self {
        let mut field = Self::new(name, Kind::String);
        field.optional = true;
        field.alias = Alias::Keyed { value, key };
        field
    }

    pub const fn optional(mut self) -> Self {
        self.optional = true;
        self
    }

    pub const fn min(mut self, minimum: f64) -> Self {
        self.minimum = Some(minimum);
        self
    }

    pub const fn max(mut self, maximum: f64) -> Self {
        self.maximum = Some(maximum);
        self
    }

    pub const fn range(self, minimum: f64, maximum: f64) -> Self {
        self.min(minimum).max(maximum)
    }

    pub const fn min_length(mut self, length: usize) -> Self {
        self.min_length = Some(length);
        self
    }

    pub const fn max_length(mut self, length: usize) -> Self {
        self.max_length = Some(length);
        self
    }

    pub const fn one_of(mut self, values: &'static [&'static str]) -> Self {
        self.one_of = values;
        self
    }

    pub const fn pattern(mut self, pattern: &'static str) -> Self {
        self.pattern = Some(pattern);
        self
    }

    pub const fn format(mut self, format: Format) -> Self {
        self.format = format;
        self
    }

    pub const fn also(mut self, check: CheckWhole) -> Self {
        self.also = Some(check);
        self
    }

    pub const fn default(mut self, value: &'static str) -> Self {
        self.default = Some(value);
        self
    }

    pub const fn requires(mut self, other: &'static str) -> Self {
        self.requires = Some(other);
        self
    }

    pub const fn indexed(mut self, count: u32) -> Self {
        self.indexed = count;
        self
    }

    pub const fn default_key(mut self) -> Self {
        self.is_default_key = true;
        self
    }

    pub const fn unbuilt(mut self) -> Self {
        self.unbuilt = Unbuilt::Whole;
        self
    }

    pub const fn unbuilt_values(mut self, values: &'static [&'static str]) -> Self {
        self.unbuilt = Unbuilt::Values(values);
        self
    }

    /// The maximum length of a text in characters: the field's, else its format's.
    pub const fn longest(&self) -> usize {
        match self.max_length {
            Some(length) => length,
            None => self.format.longest(),
        }
    }

    /// Whether a parameter name given by a caller means this field.
    pub fn is_named(&self, name: &str) -> bool {
        let Some(stem) = self.name.strip_suffix("[n]") else {
            return self.name == name;
        };
        let Some(index) = name.strip_prefix(stem) else {
            return false;
        };
        let canonical = index == "0" || !index.starts_with('0');
        let number = if index.chars().all(|c| c.is_ascii_digit()) {
            index.parse().ok()
        } else {
            None
        };
        canonical && number.is_some_and(|n: u32| n < self.indexed)
    }
}

/// Finds the field for a parameter name in groups of fields.
pub fn find<'a>(groups: &'a [&'a [Field]], name: &str) -> Option<&'a Field> {
    groups
        .iter()
        .flat_map(|group| group.iter())
        .find(|field| field.is_named(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_indexed_name_has_one_spelling() {
        let net = Field::string("net[n]").indexed(32);
        assert!(net.is_named("net0") && net.is_named("net31"));
        for other in ["net", "net32", "net01", "net+1", "net-1", "nets0", "net[n]"] {
            assert!(!net.is_named(other), "{other}");
        }
    }
}
