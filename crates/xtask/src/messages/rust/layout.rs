//! How small an element can be on the wire, which is what lets the decoder refuse a count before it allocates.

use std::collections::BTreeSet;

use crate::messages::schema::{Base, Field, Message, Struct};

/// The fewest bytes that one `part` takes in any version in which the message has it.
pub(super) fn smallest_bytes(message: &Message, part: &Struct) -> usize {
    versions_of(message, part)
        .into_iter()
        .map(|version| struct_bytes(message, part, version))
        .min()
        .unwrap_or(0)
}

/// The served versions in which some field leads to `part`.
fn versions_of(message: &Message, part: &Struct) -> BTreeSet<i16> {
    if part.name == message.structs[0].name {
        return (message.served.lowest..=message.served.highest).collect();
    }
    let mut versions = BTreeSet::new();
    for parent in &message.structs {
        for field in parent.fields.iter().filter(|f| f.base == Base::Struct(part.name.clone())) {
            versions.extend(versions_of(message, parent).into_iter().filter(|v| field.versions.contains(*v)));
        }
    }
    versions
}

fn struct_bytes(message: &Message, part: &Struct, version: i16) -> usize {
    let tag_count = usize::from(message.flexible.contains(version));
    let fields = part.fields.iter().filter(|f| f.versions.contains(version) && f.tag.is_none());
    tag_count + fields.map(|field| field_bytes(message, field, version)).sum::<usize>()
}

fn field_bytes(message: &Message, field: &Field, version: i16) -> usize {
    let compact = message.flexible.contains(version) && !field.never_flexible;
    if field.array {
        return if compact { 1 } else { 4 };
    }
    match &field.base {
        Base::Bool | Base::Int8 => 1,
        Base::Int16 | Base::Uint16 => 2,
        Base::Int32 => 4,
        Base::Int64 | Base::Float64 => 8,
        Base::Uuid => 16,
        Base::String => {
            if compact {
                1
            } else {
                2
            }
        }
        Base::Bytes | Base::Records => {
            if compact {
                1
            } else {
                4
            }
        }
        Base::Struct(_) if field.nullable.contains(version) => 1,
        Base::Struct(name) => message.find(name).map_or(0, |part| struct_bytes(message, part, version)),
    }
}
