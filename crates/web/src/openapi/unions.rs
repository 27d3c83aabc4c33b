//! Names for the objects that are alternatives of unions: they have none in Rust, and a generated client has a class for each.

use std::collections::BTreeMap;

use utoipa::openapi::schema::AdditionalProperties;
use utoipa::openapi::{Components, Discriminator, Object, OneOf, Ref, RefOr, Schema};

/// Moves each object that is an alternative of a union into a schema of its own, named after the union and the alternative. A union whose
/// alternatives have a member in common that tells them apart gets a discriminator.
pub(super) fn name_variants(components: &mut Components) {
    let mut named = BTreeMap::new();
    for (union_name, schema) in &mut components.schemas {
        let RefOr::T(Schema::OneOf(union)) = schema else { continue };
        name_variants_of(union_name, union, &mut named);
    }
    components.schemas.extend(named);
}

fn name_variants_of(union_name: &str, union: &mut OneOf, named: &mut BTreeMap<String, RefOr<Schema>>) {
    let mut discriminator = None;
    for item in &mut union.items {
        let RefOr::T(Schema::Object(variant)) = item else { continue };
        let Some((tag, value)) = name_of(variant) else { continue };
        let name = format!("{union_name}{}", capitalized(&value));
        let reference = Ref::from_schema_name(&name);
        match tag {
            Some(tag) => {
                let discriminator = discriminator.get_or_insert_with(|| Discriminator::new(tag));
                discriminator.mapping.insert(value, reference.ref_location.clone());
            }
            // The member is the tag, and a second one is refused.
            None => variant.additional_properties = Some(Box::new(AdditionalProperties::FreeForm(false))),
        }
        let variant = std::mem::replace(item, RefOr::Ref(reference));
        named.insert(name, variant);
    }
    union.discriminator = discriminator;
}

/// The member whose value tells an object apart from the other alternatives, and that value; without such a member, the name
/// of the object's only member. `None`: the alternative is no object, and needs no name.
fn name_of(variant: &Object) -> Option<(Option<String>, String)> {
    let tag = variant.properties.iter().find_map(|(name, schema)| {
        let RefOr::T(Schema::Object(schema)) = schema else { return None };
        Some((Some(name.clone()), only_value(schema)?))
    });
    tag.or_else(|| variant.properties.keys().next().map(|name| (None, name.clone())))
}

fn only_value(schema: &Object) -> Option<String> {
    match schema.enum_values.as_deref() {
        Some([value]) => value.as_str().map(str::to_owned),
        _ => None,
    }
}

fn capitalized(name: &str) -> String {
    let mut letters = name.chars();
    letters.next().into_iter().flat_map(char::to_uppercase).chain(letters).collect()
}
