//! Kafka's names in Rust's cases.

/// `KRaftVersion` → `kraft_version`, `IsKRaftBroker` → `is_kraft_broker`, `ISRNodes` → `isr_nodes`.
///
/// Kafka's own abbreviation KRaft would otherwise fall apart into `k_raft`.
pub(super) fn snake(name: &str) -> String {
    let chars: Vec<char> = name.replace("KRaft", "Kraft").chars().collect();
    let mut snake = String::new();
    for (at, &c) in chars.iter().enumerate() {
        let after_lower = at > 0 && !chars[at - 1].is_uppercase();
        let ends_acronym = at > 0 && chars.get(at + 1).is_some_and(|next| next.is_lowercase());
        if c.is_uppercase() && (after_lower || ends_acronym) {
            snake.push('_');
        }
        snake.extend(c.to_lowercase());
    }
    snake
}

/// A field's name, escaped where Rust reserves the word.
pub(super) fn field(name: &str) -> String {
    let snake = snake(name);
    match snake.as_str() {
        "type" | "match" | "loop" | "move" | "ref" | "use" | "where" | "in" | "impl" | "fn" => {
            format!("r#{snake}")
        }
        _ => snake,
    }
}

/// `OFFSET_OUT_OF_RANGE` → `OffsetOutOfRange`.
pub(super) fn camel(name: &str) -> String {
    name.split('_')
        .map(|word| {
            let mut letters = word.chars();
            let first = letters.next().map(|c| c.to_ascii_uppercase()).into_iter();
            first.chain(letters.map(|c| c.to_ascii_lowercase())).collect::<String>()
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn snake_case_keeps_acronyms_together() {
        let cases = [
            ("TopicId", "topic_id"),
            ("KRaftVersion", "kraft_version"),
            ("IsKRaftBroker", "is_kraft_broker"),
            ("V3AndBelowTopics", "v3_and_below_topics"),
            ("ISRNodes", "isr_nodes"),
            ("Name", "name"),
        ];
        for (kafka, rust) in cases {
            assert_eq!(snake(kafka), rust);
        }
        assert_eq!(field("Type"), "r#type");
        assert_eq!(camel("OFFSET_OUT_OF_RANGE"), "OffsetOutOfRange");
    }
}
