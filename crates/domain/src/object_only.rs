//! Structs that are read from JSON objects only.

use serde::de::{Deserializer, Visitor};
use serde::forward_to_deserialize_any;

/// Reads a map where a derived `Deserialize` asks for a struct: the derived code accepts a sequence as well, and takes its
/// elements for the fields by their position.
#[doc(hidden)]
#[derive(Debug)]
pub struct ObjectOnly<D>(pub D);

impl<'de, D: Deserializer<'de>> Deserializer<'de> for ObjectOnly<D> {
    type Error = D::Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, D::Error> {
        self.0.deserialize_map(visitor)
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit unit_struct
        newtype_struct seq tuple tuple_struct map struct enum identifier ignored_any
    }
}

/// Implements `Deserialize` for structs that are read from JSON objects and from nothing else, by what
/// `#[derive(Deserialize)]` with `#[serde(remote = "Self")]` made; with `deserialize and serialize:` before them also `Serialize`.
#[macro_export]
macro_rules! object_only {
    (deserialize and serialize: $($name:ident),+ $(,)?) => {
        $crate::object_only!(deserialize: $($name),+);
        $(impl ::serde::Serialize for $name {
            fn serialize<S: ::serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                $name::serialize(self, serializer)
            }
        })+
    };
    (deserialize: $($name:ident),+ $(,)?) => {
        $(impl<'de> ::serde::Deserialize<'de> for $name {
            fn deserialize<D: ::serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                $name::deserialize($crate::ObjectOnly(deserializer))
            }
        })+
    };
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    #[derive(Debug, PartialEq, Eq, Deserialize)]
    #[serde(remote = "Self", deny_unknown_fields)]
    struct Inner {
        number: u32,
    }

    #[derive(Debug, PartialEq, Eq, Deserialize)]
    #[serde(remote = "Self")]
    struct Outer {
        inner: Vec<Inner>,
    }

    crate::object_only!(deserialize: Inner, Outer);

    #[test]
    fn an_array_is_not_an_object_at_any_depth() {
        let read = |text: &str| serde_json::from_str::<Outer>(text);
        assert_eq!(read(r#"{"inner":[{"number":1}]}"#).unwrap(), Outer { inner: vec![Inner { number: 1 }] });
        for array in [r#"[[{"number":1}]]"#, r#"{"inner":[[1]]}"#] {
            let error = read(array).unwrap_err().to_string();
            assert!(error.starts_with("invalid type: sequence, expected struct"), "{error}");
        }
    }
}
