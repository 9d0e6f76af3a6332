//! What a request says, before it has a type; and the few types that all shapes are made of.

use bytes::Bytes;

/// A value that fits its shape's kind: what decoding makes and validating walks.
#[derive(Clone, PartialEq, Debug)]
pub enum Value {
    /// A boolean.
    Boolean(bool),
    /// An integer or a long.
    Integer(i64),
    /// A double.
    Double(f64),
    /// A string, also of an enum.
    Text(String),
    /// Raw bytes.
    Blob(Bytes),
    /// A time.
    Timestamp(Timestamp),
    /// A list; null elements are kept for validation to refuse.
    List(Vec<Option<Value>>),
    /// A map in the order given, each key once; null values are kept for validation to refuse.
    Map(Vec<(String, Option<Value>)>),
    /// A structure: a place for each member of its shape, in the shape's order.
    Structure(Members),
    /// Text where a number or the like belongs, in a place that has only text (query, label, header).
    Unreadable(String),
}

impl Value {
    /// The members, where this is a structure.
    #[must_use]
    pub fn structure(self) -> Option<Members> {
        match self {
            Self::Structure(members) => Some(members),
            _ => None,
        }
    }
}

/// The values of a structure's members, in the shape's order.
#[derive(Clone, PartialEq, Debug)]
pub struct Members(pub(crate) Vec<Option<Value>>);

impl Members {
    /// Takes a required member. None where it is absent or of another type: validation has excluded that.
    pub fn need<T: FromValue>(&mut self, index: usize) -> Option<T> {
        self.0.get_mut(index)?.take().and_then(T::from_value)
    }

    /// Takes an optional member. None where it is of another type: decoding has excluded that.
    pub fn maybe<T: FromValue>(&mut self, index: usize) -> Option<Option<T>> {
        match self.0.get_mut(index)?.take() {
            None => Some(None),
            Some(value) => T::from_value(value).map(Some),
        }
    }
}

/// A type made from a valid value.
pub trait FromValue: Sized {
    /// None where the value is of another kind.
    fn from_value(value: Value) -> Option<Self>;
}

macro_rules! from_value {
    ($($kind:ident => $type:ty),*) => {$(
        impl FromValue for $type {
            fn from_value(value: Value) -> Option<Self> {
                match value {
                    Value::$kind(inner) => Some(inner),
                    _ => None,
                }
            }
        }
    )*};
}

from_value!(Boolean => bool, Integer => i64, Double => f64, Text => String, Blob => Bytes, Timestamp => Timestamp);

/// The input of an operation that takes nothing.
impl FromValue for () {
    fn from_value(value: Value) -> Option<Self> {
        value.structure().map(drop)
    }
}

impl FromValue for i32 {
    fn from_value(value: Value) -> Option<Self> {
        i64::from_value(value)?.try_into().ok()
    }
}

impl<T: FromValue> FromValue for Vec<T> {
    fn from_value(value: Value) -> Option<Self> {
        match value {
            Value::List(items) => items.into_iter().map(|item| item.and_then(T::from_value)).collect(),
            _ => None,
        }
    }
}

impl<T: FromValue> FromValue for Map<T> {
    fn from_value(value: Value) -> Option<Self> {
        match value {
            Value::Map(entries) => {
                entries.into_iter().map(|(key, value)| Some((key, value.and_then(T::from_value)?))).collect()
            }
            _ => None,
        }
    }
}

/// A map with text keys, in the order given: messages of the service quote that order.
#[derive(Clone, PartialEq, Debug)]
pub struct Map<T>(Vec<(String, T)>);

impl<T> Map<T> {
    /// The entries, in order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &T)> {
        self.0.iter().map(|(key, value)| (key.as_str(), value))
    }

    /// The value of a key.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&T> {
        self.0.iter().find(|(k, _)| k == key).map(|(_, value)| value)
    }

    /// How many entries there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl<T> Default for Map<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

/// Takes the keys as they come: they must differ.
impl<T> FromIterator<(String, T)> for Map<T> {
    fn from_iter<I: IntoIterator<Item = (String, T)>>(entries: I) -> Self {
        Self(entries.into_iter().collect())
    }
}

impl<T> IntoIterator for Map<T> {
    type Item = (String, T);
    type IntoIter = std::vec::IntoIter<(String, T)>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

/// Milliseconds since 1970. In JSON: seconds with a fraction.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Debug)]
pub struct Timestamp(pub i64);

impl Timestamp {
    /// From seconds since 1970; none outside of the years -9999 to 9999.
    pub(crate) fn from_seconds(seconds: f64) -> Option<Self> {
        let fits = seconds.is_finite() && seconds.abs() < 3.7e11;
        #[expect(clippy::cast_possible_truncation, reason = "the bound above keeps it far inside i64")]
        fits.then(|| Self((seconds * 1000.0).round() as i64))
    }

    /// From an ISO 8601 time with its zone, `2024-03-05T12:00:00Z`, or from seconds since 1970.
    pub(crate) fn from_text(text: &str) -> Option<Self> {
        let iso = || text.parse::<jiff::Timestamp>().ok().map(|time| Self(time.as_millisecond()));
        iso().or_else(|| Self::from_seconds(text.parse().ok()?))
    }
}

/// Defines an enum whose variants are texts on the wire.
macro_rules! string_enum {
    ($name:ident { $($variant:ident = $text:literal,)+ }) => {
        #[doc = concat!("`", stringify!($name), "`.")]
        #[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
        pub enum $name {
            $(#[doc = concat!("`", $text, "`.")] $variant,)+
        }

        impl $name {
            /// The texts of all values.
            pub const VALUES: &'static [&'static str] = &[$($text),+];

            /// The text on the wire.
            #[must_use]
            pub fn as_str(self) -> &'static str {
                Self::VALUES[self as usize]
            }

            /// The value with this text.
            #[must_use]
            pub fn from_text(text: &str) -> Option<Self> {
                match text {
                    $($text => Some(Self::$variant),)+
                    _ => None,
                }
            }
        }

        impl $crate::value::FromValue for $name {
            fn from_value(value: $crate::value::Value) -> Option<Self> {
                match value {
                    $crate::value::Value::Text(text) => Self::from_text(&text),
                    _ => None,
                }
            }
        }

        impl $crate::encode::ToJson for $name {
            fn write(&self, json: &mut $crate::encode::JsonWriter) {
                json.text(self.as_str());
            }
        }

        impl $crate::xml::ToXml for $name {
            fn write(&self, xml: &mut $crate::xml::XmlWriter) {
                xml.text(self.as_str());
            }
        }

        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                self.as_str()
            }
        }
    };
}

pub(crate) use string_enum;
