//! From text to values, for more than one setting. An error says what would be accepted.

use super::{Listener, Protocol};

pub(super) fn number<T: std::str::FromStr + PartialOrd + std::fmt::Display>(
    text: &str,
    least: T,
) -> Result<T, String> {
    let value: T = text.trim().parse().map_err(|_| "a whole number is needed".to_owned())?;
    if value < least {
        return Err(format!("it must be at least {least}"));
    }
    Ok(value)
}

pub(super) fn boolean(text: &str) -> Result<bool, String> {
    match text.trim().to_ascii_lowercase().as_str() {
        "true" => Ok(true),
        "false" => Ok(false),
        _ => Err("`true` or `false` is needed".to_owned()),
    }
}

/// Parses `PROTOCOL://host:port[,…]`.
pub(super) fn listeners(text: &str) -> Result<Vec<Listener>, String> {
    let mut all = Vec::new();
    for item in text.split(',').map(str::trim).filter(|item| !item.is_empty()) {
        let (name, address) =
            item.split_once("://").ok_or("`PLAINTEXT://host:port` or `SSL://host:port` is needed")?;
        let protocol = match name {
            "PLAINTEXT" => Protocol::Plaintext,
            "SSL" => Protocol::Ssl,
            _ => return Err(format!("listener `{name}` is neither PLAINTEXT nor SSL")),
        };
        let (host, port) = host_and_port(address)?;
        all.push(Listener { protocol, host, port });
    }
    Ok(all)
}

/// Splits `host:port`; IPv6 addresses are in brackets.
pub(super) fn host_and_port(address: &str) -> Result<(String, u16), String> {
    let (host, port) = address.rsplit_once(':').ok_or("`host:port` is needed")?;
    let port = port.parse().map_err(|_| format!("`{port}` is no port"))?;
    Ok((host.trim_start_matches('[').trim_end_matches(']').to_owned(), port))
}

pub(super) fn print_listeners(all: &[Listener]) -> Option<String> {
    if all.is_empty() {
        return None;
    }
    let each: Vec<String> = all
        .iter()
        .map(|listener| format!("{}://{}:{}", listener.protocol.name(), listener.host, listener.port))
        .collect();
    Some(each.join(","))
}

/// 64 hexadecimal digits, colons between them or not.
pub(super) fn fingerprint(text: &str) -> Result<[u8; 32], String> {
    let digits: Vec<u8> = text
        .chars()
        .filter(|c| *c != ':')
        .map(|c| c.to_digit(16).and_then(|digit| u8::try_from(digit).ok()))
        .collect::<Option<_>>()
        .ok_or("SHA-256 fingerprints in hexadecimal are needed")?;
    let bytes: Vec<u8> =
        digits.chunks(2).map(|pair| pair.iter().fold(0, |byte, digit| byte << 4 | digit)).collect();
    bytes.try_into().map_err(|_| format!("`{text}` is not 32 bytes in hexadecimal"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn listeners_with_brackets_and_both_protocols_parse() {
        let parsed = listeners("SSL://[::1]:9093, PLAINTEXT://127.0.0.1:0").expect("valid");
        assert_eq!(parsed[0], Listener { protocol: Protocol::Ssl, host: "::1".into(), port: 9093 });
        assert_eq!(print_listeners(&parsed[1..]).as_deref(), Some("PLAINTEXT://127.0.0.1:0"));
        assert!(listeners("SASL_SSL://x:1").is_err());
    }
}
