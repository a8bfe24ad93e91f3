//! What a single field becomes: its type, its default, and the expressions that read, write and compare it.

use std::collections::BTreeMap;

use anyhow::{Context, bail};

use crate::messages::names;
use crate::messages::schema::{Base, Field, Kind, Message, Versions};

/// Where the field lives.
pub(super) struct Emit<'a> {
    pub(super) message: &'a Message,
    /// Structs of the message that go by another name in Rust.
    pub(super) names: &'a BTreeMap<String, String>,
    /// The Rust name of the struct that is being written.
    pub(super) name: &'a str,
}

impl Emit<'_> {
    /// A test for `versions` among those served, or nothing if they are all served versions.
    pub(super) fn condition(&self, versions: Versions) -> Option<String> {
        let served = self.message.served;
        match (versions.lowest > served.lowest, versions.highest < served.highest) {
            (false, false) => None,
            (true, false) => Some(format!("version >= {}", versions.lowest)),
            (false, true) => Some(format!("version <= {}", versions.highest)),
            (true, true) if versions.lowest == versions.highest => {
                Some(format!("version == {}", versions.lowest))
            }
            (true, true) => Some(format!("({}..={}).contains(&version)", versions.lowest, versions.highest)),
        }
    }

    /// The opposite of [`Emit::condition`].
    pub(super) fn outside(&self, versions: Versions) -> Option<String> {
        let served = self.message.served;
        match (versions.lowest > served.lowest, versions.highest < served.highest) {
            (false, false) => None,
            (true, false) => Some(format!("version < {}", versions.lowest)),
            (false, true) => Some(format!("version > {}", versions.highest)),
            (true, true) => Some(format!("!({}..={}).contains(&version)", versions.lowest, versions.highest)),
        }
    }

    fn is_optional(&self, field: &Field) -> bool {
        // Kafka's default for records is null even where null may not be sent.
        field.base == Base::Records || !field.nullable.intersect(self.message.served).is_none()
    }

    fn struct_name<'a>(&'a self, name: &'a str) -> &'a str {
        self.names.get(name).map_or(name, String::as_str)
    }

    pub(super) fn kind(&self, field: &Field) -> String {
        let base = match &field.base {
            Base::Bool => "bool",
            Base::Int8 => "i8",
            Base::Int16 => "i16",
            Base::Uint16 => "u16",
            Base::Int32 => "i32",
            Base::Int64 => "i64",
            Base::Float64 => "f64",
            Base::String => "Str",
            // A broker may answer with records that it does not hold in memory; what it receives is in memory.
            Base::Records if self.message.kind == Kind::Response => "Records",
            Base::Bytes | Base::Records => "Bytes",
            Base::Uuid => "Uuid",
            Base::Struct(name) => self.struct_name(name),
        };
        let whole = if field.array { format!("Vec<{base}>") } else { base.to_owned() };
        if self.is_optional(field) { format!("Option<{whole}>") } else { whole }
    }

    fn defaults_to_null(&self, field: &Field) -> bool {
        field.base == Base::Records || field.default.as_deref() == Some("null")
    }

    /// Whether Rust's `Default` of the field's type is the schema's default.
    pub(super) fn default_is_derived(&self, field: &Field) -> bool {
        if self.is_optional(field) {
            return self.defaults_to_null(field);
        }
        field.array
            || match field.default.as_deref() {
                None | Some("\"\"") => true,
                Some(value) => matches!(value.to_ascii_lowercase().as_str(), "0" | "false"),
            }
    }

    pub(super) fn default(&self, field: &Field) -> anyhow::Result<String> {
        if self.is_optional(field) && self.defaults_to_null(field) {
            return Ok("None".into());
        }
        let value = if field.array {
            "Vec::new()".to_owned()
        } else {
            let given = field.default.as_deref();
            match &field.base {
                Base::Bool => given.unwrap_or("false").to_ascii_lowercase(),
                Base::Int8 | Base::Int16 | Base::Uint16 | Base::Int32 | Base::Int64 => {
                    self.integer(field).with_context(|| field.name.clone())?
                }
                Base::Float64 => "0.0".into(),
                Base::String if matches!(given, None | Some("\"\"")) => "Str::default()".into(),
                Base::Bytes => "Bytes::new()".into(),
                Base::Uuid => "Uuid::nil()".into(),
                Base::Struct(name) => format!("{}::default()", self.struct_name(name)),
                Base::String | Base::Records => bail!("{}: default {given:?}", field.name),
            }
        };
        Ok(if self.is_optional(field) { format!("Some({value})") } else { value })
    }

    fn integer(&self, field: &Field) -> anyhow::Result<String> {
        let Some(given) = field.default.as_deref() else { return Ok("0".into()) };
        let value = match given.strip_prefix("0x") {
            Some(hex) => i64::from_str_radix(hex, 16)?,
            None => given.parse()?,
        };
        Ok(match (&field.base, value) {
            (Base::Int32, v) if v == i64::from(i32::MAX) => "i32::MAX".into(),
            (Base::Int32, v) if v == i64::from(i32::MIN) => "i32::MIN".into(),
            (_, i64::MAX) => "i64::MAX".into(),
            _ => value.to_string(),
        })
    }

    /// A test whether the field holds something else than its default.
    pub(super) fn differs(&self, field: &Field) -> String {
        let it = format!("self.{}", names::field(&field.name));
        if self.is_optional(field) {
            return match (self.defaults_to_null(field), &field.base) {
                (true, _) => format!("{it}.is_some()"),
                (false, Base::Struct(name)) if !field.array => {
                    format!("{it} != Some({}::default())", self.struct_name(name))
                }
                (false, _) => format!("{it}.as_ref().is_none_or(|it| !it.is_empty())"),
            };
        }
        if field.array {
            return format!("!{it}.is_empty()");
        }
        match &field.base {
            Base::Bool if field.default.as_deref().is_some_and(|d| d.eq_ignore_ascii_case("true")) => {
                format!("!{it}")
            }
            Base::Bool => it,
            Base::String | Base::Bytes | Base::Records => format!("!{it}.is_empty()"),
            Base::Uuid => format!("!{it}.is_nil()"),
            Base::Float64 => format!("{it} != 0.0"),
            Base::Struct(name) => format!("{it} != {}::default()", self.struct_name(name)),
            _ => format!("{it} != {}", self.integer(field).unwrap_or_default()),
        }
    }

    /// An expression that reads the field in one of the versions in `present`.
    pub(super) fn read(&self, field: &Field, present: Versions) -> String {
        let nullable = field.nullable.intersect(present);
        if nullable.is_none() {
            let value = self.read_value(field);
            return if self.is_optional(field) { format!("Some({value})") } else { value };
        }
        let or_null = self.read_or_null(field);
        match self.condition(nullable) {
            Some(test) if !nullable.covers(present) => {
                format!("if {test} {{ {or_null} }} else {{ Some({}) }}", self.read_value(field))
            }
            _ => or_null,
        }
    }

    fn read_value(&self, field: &Field) -> String {
        if let Base::Struct(name) = &field.base {
            let name = self.struct_name(name);
            let function = if field.array { "read_all" } else { "read" };
            return format!("{name}::{function}(input, version)?");
        }
        format!("input.{}()?", self.codec_name(field, ""))
    }

    fn read_or_null(&self, field: &Field) -> String {
        match &field.base {
            Base::Struct(name) if field.array => {
                format!("{}::read_all_or_null(input, version)?", self.struct_name(name))
            }
            Base::Struct(name) => {
                let name = self.struct_name(name);
                format!("if input.present()? {{ Some({name}::read(input, version)?) }} else {{ None }}")
            }
            _ => format!("input.{}()?", self.codec_name(field, "nullable_")),
        }
    }

    /// The method of decoder and encoder for this type.
    fn codec_name(&self, field: &Field, prefix: &str) -> String {
        let base = match &field.base {
            Base::Bool => "bool",
            Base::Int8 => "i8",
            Base::Int16 => "i16",
            Base::Uint16 => "u16",
            Base::Int32 => "i32",
            Base::Int64 => "i64",
            Base::Float64 => "f64",
            Base::String => "string",
            Base::Records if self.message.kind == Kind::Response => "records",
            // Records are bytes on the wire; only their default differs.
            Base::Bytes | Base::Records => "bytes",
            Base::Uuid => "uuid",
            Base::Struct(name) => return format!("no method for struct {name}"),
        };
        let old = if field.never_flexible { "inflexible_" } else { "" };
        let many = if field.array { "_array" } else { "" };
        format!("{prefix}{old}{base}{many}")
    }

    /// Statements that write the field in one of the versions in `present`.
    pub(super) fn write(&self, field: &Field, present: Versions) -> String {
        let it = format!("self.{}", names::field(&field.name));
        let nullable = field.nullable.intersect(present);
        let what = format!("\"{}.{}\"", self.name, field.name);
        if !self.is_optional(field) {
            return self.write_value(field, &it, false);
        }
        let required = format!(
            "match &{it} {{ Some(it) => {{ {} }} None => out.null({what}), }}",
            self.write_value(field, "it", true)
        );
        if nullable.is_none() {
            return required;
        }
        let or_null = self.write_or_null(field, &it);
        match self.condition(nullable) {
            Some(test) if !nullable.covers(present) => {
                format!("if {test} {{ {or_null} }} else {{ {required} }}")
            }
            _ => or_null,
        }
    }

    /// `it` is a place, or, with `borrowed`, a reference to one.
    fn write_value(&self, field: &Field, it: &str, borrowed: bool) -> String {
        let reference = if borrowed { it.to_owned() } else { format!("&{it}") };
        if let Base::Struct(_) = &field.base {
            if field.array {
                return format!(
                    "out.count({it}.len()); for item in {reference} {{ item.write(out, version); }}"
                );
            }
            return format!("{it}.write(out, version);");
        }
        let by_reference = field.array || matches!(field.base, Base::String | Base::Bytes | Base::Records);
        let value = match (by_reference, borrowed) {
            (true, _) => reference,
            (false, true) => format!("*{it}"),
            (false, false) => it.to_owned(),
        };
        format!("out.{}({value});", self.codec_name(field, ""))
    }

    fn write_or_null(&self, field: &Field, it: &str) -> String {
        match &field.base {
            Base::Struct(_) if field.array => format!(
                "out.nullable_count({it}.as_ref().map(Vec::len));
                 for item in {it}.iter().flatten() {{ item.write(out, version); }}"
            ),
            Base::Struct(_) => {
                format!("out.present({it}.is_some()); if let Some(it) = &{it} {{ it.write(out, version); }}")
            }
            _ if field.array => format!("out.{}({it}.as_deref());", self.codec_name(field, "nullable_")),
            _ => format!("out.{}({it}.as_ref());", self.codec_name(field, "nullable_")),
        }
    }
}
