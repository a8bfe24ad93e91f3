//! The text format of `crates/protocol/schema/*.txt` and its parser. The header of `messages.txt` describes the
//! format; what Kafka itself would refuse (an unknown type, a tag used twice) is refused here.

use std::collections::BTreeSet;
use std::fmt;

use anyhow::{Context, bail, ensure};

/// A range of versions, empty when nothing matches (`none`, or a property that the field lacks).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Versions {
    pub(super) lowest: i16,
    pub(super) highest: i16,
}

impl Versions {
    pub(super) const NONE: Versions = Versions { lowest: 0, highest: -1 };

    fn parse(text: &str) -> anyhow::Result<Versions> {
        if text == "none" {
            return Ok(Versions::NONE);
        }
        let number =
            |part: &str| part.parse::<i16>().with_context(|| format!("{text:?} is not a range of versions"));
        if let Some(lowest) = text.strip_suffix('+') {
            return Ok(Versions { lowest: number(lowest)?, highest: i16::MAX });
        }
        let (lowest, highest) = text.split_once('-').unwrap_or((text, text));
        Ok(Versions { lowest: number(lowest)?, highest: number(highest)? })
    }

    pub(super) fn is_none(self) -> bool {
        self.lowest > self.highest
    }

    pub(super) fn intersect(self, other: Versions) -> Versions {
        let both =
            Versions { lowest: self.lowest.max(other.lowest), highest: self.highest.min(other.highest) };
        if both.is_none() { Versions::NONE } else { both }
    }

    pub(super) fn covers(self, other: Versions) -> bool {
        other.is_none() || (self.lowest <= other.lowest && self.highest >= other.highest)
    }

    pub(super) fn contains(self, version: i16) -> bool {
        self.lowest <= version && version <= self.highest
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Kind {
    Request,
    Response,
    Header,
    Data,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Base {
    Bool,
    Int8,
    Int16,
    Uint16,
    Int32,
    Int64,
    Float64,
    String,
    Bytes,
    Uuid,
    Records,
    Struct(String),
}

#[derive(Clone, PartialEq, Debug)]
pub(super) struct Field {
    pub(super) name: String,
    pub(super) base: Base,
    pub(super) array: bool,
    pub(super) versions: Versions,
    pub(super) nullable: Versions,
    /// Tag and the versions in which the field is a tagged one.
    pub(super) tag: Option<(u32, Versions)>,
    /// Set where the field keeps its old encoding in flexible versions.
    pub(super) never_flexible: bool,
    pub(super) default: Option<String>,
    pub(super) ignorable: bool,
    /// The schema's own words after the name, shown in the field's documentation.
    pub(super) facts: String,
}

#[derive(Clone, PartialEq, Debug)]
pub(super) struct Struct {
    pub(super) name: String,
    pub(super) fields: Vec<Field>,
}

#[derive(Debug)]
pub(super) struct Message {
    pub(super) kind: Kind,
    pub(super) key: Option<i16>,
    pub(super) name: String,
    /// Versions that Kafka 4.3 serves; none for a retired key.
    pub(super) valid: Versions,
    /// `valid`, and below it what we still serve to old clients.
    pub(super) served: Versions,
    pub(super) flexible: Versions,
    pub(super) latest_unstable: bool,
    /// The message itself first, then every struct below it, in the order of the schema.
    pub(super) structs: Vec<Struct>,
}

impl Message {
    pub(super) fn find(&self, name: &str) -> Option<&Struct> {
        self.structs.iter().skip(1).find(|s| s.name == name)
    }
}

struct Line<'a> {
    number: usize,
    level: usize,
    words: Vec<&'a str>,
}

impl fmt::Display for Line<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: {}", self.number, self.words.join(" "))
    }
}

pub(super) fn parse(text: &str) -> anyhow::Result<Vec<Message>> {
    let mut messages: Vec<Message> = Vec::new();
    let mut body: Vec<Line<'_>> = Vec::new();
    for (at, raw) in text.lines().enumerate() {
        if raw.trim().is_empty() || raw.trim_start().starts_with('#') {
            continue;
        }
        let indent = raw.len() - raw.trim_start().len();
        let line = Line { number: at + 1, level: indent / 2, words: raw.split_whitespace().collect() };
        ensure!(indent % 2 == 0, "{line}: odd indentation");
        if line.level > 0 {
            body.push(line);
            continue;
        }
        finish(&mut messages, &mut body)?;
        messages.push(message(&line).with_context(|| line.to_string())?);
    }
    finish(&mut messages, &mut body)?;
    Ok(messages)
}

/// Gives the message read last the fields that followed it.
fn finish(messages: &mut [Message], body: &mut Vec<Line<'_>>) -> anyhow::Result<()> {
    let lines = std::mem::take(body);
    let Some(message) = messages.last_mut() else {
        ensure!(lines.is_empty(), "fields before the first message");
        return Ok(());
    };
    let mut structs = vec![Struct { name: message.name.clone(), fields: Vec::new() }];
    let fields = fields(&lines, 1, &mut structs)?;
    structs[0].fields = fields;
    message.structs = structs;
    validate(message).with_context(|| message.name.clone())
}

fn message(line: &Line<'_>) -> anyhow::Result<Message> {
    let mut words = line.words.iter().copied();
    let kind = match words.next() {
        Some("request") => Kind::Request,
        Some("response") => Kind::Response,
        Some("header") => Kind::Header,
        Some("data") => Kind::Data,
        _ => bail!("starts with none of request, response, header, data"),
    };
    let key = match kind {
        Kind::Request | Kind::Response => {
            Some(words.next().context("no API key")?.parse().context("API key")?)
        }
        Kind::Header | Kind::Data => None,
    };
    let name = words.next().context("no name")?.to_owned();
    let valid = Versions::parse(words.next().context("no versions")?)?;
    let mut message = Message {
        kind,
        key,
        name,
        valid,
        served: valid,
        flexible: Versions::NONE,
        latest_unstable: false,
        structs: Vec::new(),
    };
    for word in words {
        match word.split_once('=') {
            Some(("flexible", versions)) => message.flexible = Versions::parse(versions)?,
            Some(("legacy", lowest)) => message.served.lowest = lowest.parse().context("legacy")?,
            Some(("listeners", _)) => {}
            None if word == "latest-unstable" => message.latest_unstable = true,
            _ => bail!("{word:?} is no property of a message"),
        }
    }
    Ok(message)
}

/// The fields at `level`; structs found below them go to `structs`.
fn fields(lines: &[Line<'_>], level: usize, structs: &mut Vec<Struct>) -> anyhow::Result<Vec<Field>> {
    let mut found = Vec::new();
    let mut at = 0;
    while let Some(line) = lines.get(at) {
        ensure!(line.level == level, "{line}: indented too deep");
        let below = lines[at + 1..].iter().take_while(|l| l.level > level).count();
        let children = &lines[at + 1..at + 1 + below];
        at += 1 + below;
        if line.words[0] == "struct" {
            let name = *line.words.get(1).with_context(|| format!("{line}: no name"))?;
            define(name, children, level + 1, structs)?;
            continue;
        }
        let field = field(line).with_context(|| line.to_string())?;
        if let (Base::Struct(name), false) = (&field.base, children.is_empty()) {
            define(name, children, level + 1, structs)?;
        } else {
            ensure!(children.is_empty(), "{line}: only a struct has fields");
        }
        found.push(field);
    }
    Ok(found)
}

fn define(name: &str, lines: &[Line<'_>], level: usize, structs: &mut Vec<Struct>) -> anyhow::Result<()> {
    let place = structs.len();
    structs.push(Struct { name: name.to_owned(), fields: Vec::new() });
    let fields = fields(lines, level, structs)?;
    structs[place].fields = fields;
    Ok(())
}

fn field(line: &Line<'_>) -> anyhow::Result<Field> {
    let [kind, name, versions, properties @ ..] = line.words.as_slice() else {
        bail!("wants type, name, versions")
    };
    let (array, base) = match kind.strip_prefix("[]") {
        Some(base) => (true, base),
        None => (false, *kind),
    };
    let base = match base {
        "bool" => Base::Bool,
        "int8" => Base::Int8,
        "int16" => Base::Int16,
        "uint16" => Base::Uint16,
        "int32" => Base::Int32,
        "int64" => Base::Int64,
        "float64" => Base::Float64,
        "string" => Base::String,
        "bytes" => Base::Bytes,
        "uuid" => Base::Uuid,
        "records" => Base::Records,
        other => {
            ensure!(other.starts_with(|c: char| c.is_ascii_uppercase()), "{other:?} is no type");
            Base::Struct(other.to_owned())
        }
    };
    let mut field = Field {
        name: (*name).to_owned(),
        base,
        array,
        versions: Versions::parse(versions)?,
        nullable: Versions::NONE,
        tag: None,
        never_flexible: false,
        default: None,
        ignorable: false,
        facts: line.words[2..].join(" "),
    };
    for property in properties {
        match property.split_once('=') {
            Some(("null", versions)) => field.nullable = Versions::parse(versions)?,
            Some(("tag", tag)) => {
                let (tag, versions) = tag.split_once('@').context("tag=N@VERSIONS")?;
                field.tag = Some((tag.parse().context("tag")?, Versions::parse(versions)?));
            }
            Some(("flexible", "none")) => field.never_flexible = true,
            Some(("default", value)) => field.default = Some(value.to_owned()),
            Some(("bytes" | "entity", _)) => {}
            None if *property == "ignorable" => field.ignorable = true,
            None if *property == "key" => {}
            _ => bail!("{property:?} is no property of a field"),
        }
    }
    Ok(field)
}

fn validate(message: &Message) -> anyhow::Result<()> {
    for (at, one) in message.structs.iter().enumerate() {
        for other in &message.structs[at + 1..] {
            ensure!(one.name != other.name, "{} is defined twice", one.name);
        }
        let mut tags = BTreeSet::new();
        for field in &one.fields {
            if let Base::Struct(name) = &field.base {
                ensure!(message.find(name).is_some(), "{}: {name} is not defined", field.name);
            }
            if let Some((tag, versions)) = field.tag {
                ensure!(tags.insert(tag), "{}: tag {tag} is used twice", field.name);
                ensure!(message.flexible.covers(versions), "{}: tagged but not flexible", field.name);
            }
            let used = field.versions.intersect(message.served);
            ensure!(
                field.nullable.is_none() || field.versions.covers(field.nullable.intersect(used)),
                "{}: nullable where it does not exist",
                field.name
            );
        }
        // Decoding recurses once per level of structs. Without cycles that depth is a constant of the schema, so
        // that no input can exhaust the stack.
        ensure!(!reaches(message, one, &one.name, 0), "{} contains itself", one.name);
    }
    Ok(())
}

fn reaches(message: &Message, from: &Struct, target: &str, depth: usize) -> bool {
    depth > message.structs.len()
        || from.fields.iter().any(|field| match &field.base {
            Base::Struct(name) => {
                name == target || message.find(name).is_some_and(|s| reaches(message, s, target, depth + 1))
            }
            _ => false,
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(text: &str) -> String {
        format!("{:#}", parse(text).expect_err("must be refused"))
    }

    #[test]
    fn reads_fields_properties_and_nested_structs() {
        let text = "# a comment\nrequest 7 XRequest 1-3 flexible=2+ legacy=0\n  []Part Parts 0+ null=1-2 key\n    int32 Index 0+ default=-1 ignorable\n  Part Spare 3+ tag=0@3+\n";
        let messages = parse(text).expect("is well-formed");
        let [message] = messages.as_slice() else { panic!("one message") };
        assert_eq!((message.kind, message.key), (Kind::Request, Some(7)));
        assert_eq!(message.served, Versions { lowest: 0, highest: 3 });
        assert_eq!(message.structs.len(), 2);
        let parts = &message.structs[0].fields[0];
        assert!(parts.array && parts.nullable.contains(2) && !parts.nullable.contains(3));
        assert_eq!(message.structs[1].fields[0].default.as_deref(), Some("-1"));
    }

    #[test]
    fn refuses_what_makes_no_sense() {
        assert!(error("request 7 XRequest 0\n  int31 A 0+\n").contains("is no type"));
        assert!(error("request 7 XRequest 0\n  Part A 0+\n").contains("is not defined"));
        assert!(error("data X 0\n  []Part A 0+\n    []Part B 0+\n").contains("contains itself"));
        assert!(
            error("data X 0 flexible=0+\n  int8 A 0+ tag=0@0+\n  int8 B 0+ tag=0@0+\n")
                .contains("used twice")
        );
        assert!(error("data X 0\n  int8 A 0+ colour=red\n").contains("no property"));
    }
}
