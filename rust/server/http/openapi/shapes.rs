//! What derived schemas do not say.

use utoipa::openapi::schema::{AnyOf, Object, Schema, Type};
use utoipa::openapi::{OneOf, RefOr};

/// Corrects a schema of the document.
pub(super) fn correct(name: &str, schema: &mut RefOr<Schema>) {
    let RefOr::T(schema) = schema else { return };
    match schema {
        Schema::AllOf(parts) => *schema = unite(parts.description.take(), std::mem::take(&mut parts.items)),
        Schema::OneOf(forms) => *schema = loosen(std::mem::take(forms)).into(),
        _ => (),
    }
    if let (Schema::AnyOf(forms), true) = (schema, name.ends_with("Inputs")) {
        forms.items.iter_mut().for_each(forbid_empty);
    }
}

/// Makes one object of those that serde flattens into each other: their members stand in parts, own ones last.
fn unite(description: Option<String>, parts: Vec<RefOr<Schema>>) -> Schema {
    let mut whole = Object::with_type(Type::Object);
    whole.description = description;
    for part in parts.into_iter().rev() {
        if let RefOr::T(Schema::Object(part)) = part {
            whole.properties.extend(part.properties);
            whole.required.extend(part.required);
        }
    }
    whole.into()
}

/// An untagged enum is whatever fits: an empty list may be one of entities, and one of lists of them.
fn loosen(forms: OneOf) -> AnyOf {
    let mut any = AnyOf::new();
    any.items = forms.items;
    any.description = forms.description;
    any
}

/// There is no answer to no inputs.
fn forbid_empty(form: &mut RefOr<Schema>) {
    if let RefOr::T(Schema::Array(list)) = form {
        list.min_items = Some(1);
    }
}
