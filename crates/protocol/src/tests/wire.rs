//! Random messages as bytes, straight from the schema.
//!
//! This reads `schema/*.txt` and writes messages by an interpreter that shares nothing with the generator or the
//! codec, so that an error in either shows as a difference.

use std::collections::BTreeMap;

/// A small generator of pseudo-random numbers (SplitMix64), so that a seed means the same bytes for ever.
#[derive(Debug, Clone)]
pub(super) struct Rng(pub(super) u64);

impl Rng {
    pub(super) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub(super) fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit
    }

    pub(super) fn one_in(&mut self, n: u64) -> bool {
        self.below(n) == 0
    }

    pub(super) fn bytes(&mut self, length: usize) -> Vec<u8> {
        (0..length).map(|_| self.next() as u8).collect()
    }
}

type Range = (i16, i16);

fn range(text: &str) -> Range {
    if text == "none" {
        return (1, 0);
    }
    match text.strip_suffix('+') {
        Some(low) => (low.parse().unwrap(), i16::MAX),
        None => {
            let (low, high) = text.split_once('-').unwrap_or((text, text));
            (low.parse().unwrap(), high.parse().unwrap())
        }
    }
}

fn within(version: i16, range: Range) -> bool {
    range.0 <= version && version <= range.1
}

#[derive(Debug)]
struct Field {
    kind: String,
    is_array: bool,
    versions: Range,
    nullable: Range,
    tag: Option<u32>,
    old_encoding: bool,
    default: String,
}

/// A message of the schema.
#[derive(Debug)]
pub(super) struct Message {
    pub(super) kind: String,
    pub(super) key: Option<i16>,
    pub(super) name: String,
    pub(super) versions: Range,
    flexible: Range,
    structs: BTreeMap<String, Vec<Field>>,
}

/// All messages that have versions.
pub(super) fn messages() -> Vec<Message> {
    let text =
        [include_str!("../../schema/messages.txt"), include_str!("../../schema/coordinator.txt")].concat();
    let mut messages: Vec<Message> = Vec::new();
    // The struct that fields at each level belong to.
    let mut owners: Vec<String> = Vec::new();
    for line in text.lines().filter(|l| !l.trim().is_empty() && !l.trim_start().starts_with('#')) {
        let level = (line.len() - line.trim_start().len()) / 2;
        let words: Vec<&str> = line.split_whitespace().collect();
        let property = |name: &str| words.iter().find_map(|w| w.strip_prefix(name));
        if level == 0 {
            let key = words[1].parse().ok();
            let at = if key.is_some() { 2 } else { 1 };
            let mut versions = range(words[at + 1]);
            if let Some(legacy) = property("legacy=") {
                versions.0 = legacy.parse().unwrap();
            }
            let name = words[at].to_owned();
            owners = vec![name.clone()];
            let structs = BTreeMap::from([(name.clone(), Vec::new())]);
            let flexible = range(property("flexible=").unwrap());
            messages.push(Message { kind: words[0].to_owned(), key, name, versions, flexible, structs });
            continue;
        }
        let message = messages.last_mut().unwrap();
        owners.truncate(level);
        if words[0] == "struct" {
            owners.push(words[1].to_owned());
            message.structs.entry(words[1].to_owned()).or_default();
            continue;
        }
        let field = Field {
            kind: words[0].trim_start_matches("[]").to_owned(),
            is_array: words[0].starts_with("[]"),
            versions: range(words[2]),
            nullable: property("null=").map_or((1, 0), range),
            tag: property("tag=").map(|tag| tag.split('@').next().unwrap().parse().unwrap()),
            old_encoding: property("flexible=").is_some(),
            default: property("default=").unwrap_or_default().to_owned(),
        };
        if field.kind.starts_with(|c: char| c.is_ascii_uppercase()) {
            message.structs.entry(field.kind.clone()).or_default();
        }
        let kind = field.kind.clone();
        message.structs.get_mut(&owners[level - 1]).unwrap().push(field);
        owners.push(kind);
    }
    messages.retain(|m| m.versions.0 <= m.versions.1);
    messages
}

/// A message as bytes.
#[derive(Debug, Default)]
pub(super) struct Sample {
    /// As Kafka would write it.
    pub(super) bytes: Vec<u8>,
    /// Where lengths and counts stand, and how many bytes each takes.
    pub(super) lengths: Vec<(usize, usize)>,
}

struct Writer<'a> {
    message: &'a Message,
    version: i16,
    is_flexible: bool,
    /// Whether every struct gets a tagged field that the schema does not know.
    adds_unknown_tags: bool,
    rng: Rng,
    depth: usize,
}

/// The random message of this seed; `adds_unknown_tags` adds tagged fields to it and changes nothing else.
pub(super) fn sample(message: &Message, version: i16, seed: u64, adds_unknown_tags: bool) -> Sample {
    let is_flexible = within(version, message.flexible);
    let mut writer = Writer { message, version, is_flexible, adds_unknown_tags, rng: Rng(seed), depth: 0 };
    let mut out = Sample::default();
    writer.fields(&message.name, &mut out);
    out
}

fn varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 128 {
        out.push(value as u8 | 128);
        value >>= 7;
    }
    out.push(value as u8);
}

impl Writer<'_> {
    fn fields(&mut self, name: &str, out: &mut Sample) {
        self.depth += 1;
        let (message, version) = (self.message, self.version);
        let fields = &message.structs[name];
        for field in fields.iter().filter(|f| within(version, f.versions) && f.tag.is_none()) {
            self.value(field, out);
        }
        if self.is_flexible {
            let mut tagged: Vec<&Field> =
                fields.iter().filter(|f| within(version, f.versions) && f.tag.is_some()).collect();
            tagged.sort_by_key(|f| f.tag);
            tagged.retain(|_| self.rng.one_in(2));
            varint(&mut out.bytes, tagged.len() as u64 + u64::from(self.adds_unknown_tags));
            for field in tagged {
                let mut content = Sample::default();
                self.value(field, &mut content);
                varint(&mut out.bytes, u64::from(field.tag.unwrap()));
                self.embed(content, out);
            }
            if self.adds_unknown_tags {
                // Above every tag that Kafka has used so far.
                varint(&mut out.bytes, 9_999);
                varint(&mut out.bytes, 3);
                out.bytes.extend([1, 2, 3]);
            }
        }
        self.depth -= 1;
    }

    /// Appends the content of a tagged field behind its length.
    fn embed(&mut self, content: Sample, out: &mut Sample) {
        let start = out.bytes.len();
        varint(&mut out.bytes, content.bytes.len() as u64);
        out.lengths.push((start, out.bytes.len() - start));
        let moved = out.bytes.len();
        out.lengths.extend(content.lengths.into_iter().map(|(at, length)| (at + moved, length)));
        out.bytes.extend(content.bytes);
    }

    /// A length of `wide` bytes in the old encoding, or of as many as it takes.
    fn length(&mut self, field: &Field, length: Option<usize>, wide: usize, out: &mut Sample) {
        let start = out.bytes.len();
        let signed = length.map_or(-1, |length| length as i64);
        if self.is_flexible && !field.old_encoding {
            varint(&mut out.bytes, (signed + 1) as u64);
        } else {
            out.bytes.extend(&signed.to_be_bytes()[8 - wide..]);
        }
        out.lengths.push((start, out.bytes.len() - start));
    }

    fn value(&mut self, field: &Field, out: &mut Sample) {
        // A tagged field that holds its default is not written at all, so those here hold something else.
        let is_tagged = field.tag.is_some();
        let is_null = within(self.version, field.nullable) && !is_tagged && self.rng.one_in(4);
        let is_struct = self.message.structs.contains_key(&field.kind);
        if field.is_array {
            let most = if self.depth > 3 { 2 } else { 4 };
            let count = self.rng.below(most) + u64::from(is_tagged);
            if is_null {
                return self.length(field, None, 4, out);
            }
            self.length(field, Some(count as usize), 4, out);
            for _ in 0..count {
                match is_struct {
                    true => self.fields(&field.kind, out),
                    false => self.scalar(field, is_tagged, out),
                }
            }
            return;
        }
        if is_struct {
            if within(self.version, field.nullable) {
                out.bytes.push(if is_null { 255 } else { 1 });
            }
            if !is_null {
                self.fields(&field.kind, out);
            }
            return;
        }
        match (field.kind.as_str(), is_null) {
            ("string", true) => self.length(field, None, 2, out),
            ("bytes" | "records", true) => self.length(field, None, 4, out),
            _ => self.scalar(field, is_tagged, out),
        }
    }

    fn scalar(&mut self, field: &Field, is_tagged: bool, out: &mut Sample) {
        let mut integer = |wide: usize| {
            // Now and then a small number, but never the default where that would not be written.
            let value = if self.rng.one_in(3) { self.rng.below(100) + 1 } else { self.rng.next() | 1 << 6 };
            out.bytes.extend(&value.to_be_bytes()[8 - wide..]);
        };
        match field.kind.as_str() {
            "bool" if is_tagged => out.bytes.push(u8::from(!field.default.eq_ignore_ascii_case("true"))),
            "bool" => out.bytes.push(self.rng.below(2) as u8),
            "int8" => integer(1),
            "int16" | "uint16" => integer(2),
            "int32" => integer(4),
            "int64" | "float64" => integer(8),
            "uuid" => {
                integer(8);
                integer(8);
            }
            "string" => {
                let text: String = (0..self.rng.below(6) + u64::from(is_tagged))
                    .map(|_| ['a', 'Z', '0', '-', 'é', '水', '🦀'][self.rng.below(7) as usize])
                    .collect();
                self.length(field, Some(text.len()), 2, out);
                out.bytes.extend(text.as_bytes());
            }
            "bytes" | "records" => {
                // Sometimes longer than what the encoder copies.
                let most = if self.rng.one_in(4) { 3000 } else { 20 };
                let length = self.rng.below(most) as usize + usize::from(is_tagged);
                self.length(field, Some(length), 4, out);
                let bytes = self.rng.bytes(length);
                out.bytes.extend(bytes);
            }
            other => panic!("{other} is no type"),
        }
    }
}
