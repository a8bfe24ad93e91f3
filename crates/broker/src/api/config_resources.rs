//! What has settings, and how they change: shared by the two requests that alter them.

use std::collections::BTreeMap;

use protocol::{ErrorCode, Str};

use super::repeated::Named;
use crate::config::live::Overrides;
use crate::config::{Config, ConfigError, Kind, topic_keys};
use crate::context::Context;
use crate::metadata::ChangeError;
use crate::metadata::record::SettingsOf;
use crate::topics::Settings;

/// A topic, in Kafka's numbers.
pub(super) const TOPIC: i8 = 2;
/// A broker.
pub(super) const BROKER: i8 = 4;
/// A telemetry subscription.
pub(super) const CLIENT_METRICS: i8 = 16;
/// A consumer group.
pub(super) const GROUP: i8 = 32;

/// What to do with a setting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Operation {
    Set,
    Delete,
    Append,
    Subtract,
}

impl TryFrom<i8> for Operation {
    type Error = Refused;

    fn try_from(number: i8) -> Result<Operation, Refused> {
        match number {
            0 => Ok(Operation::Set),
            1 => Ok(Operation::Delete),
            2 => Ok(Operation::Append),
            3 => Ok(Operation::Subtract),
            _ => Err((ErrorCode::InvalidRequest, format!("there is no operation {number} on a setting"))),
        }
    }
}

/// A change of one setting.
#[derive(Clone, Debug)]
pub(super) struct Change {
    pub(super) name: String,
    pub(super) operation: Operation,
    pub(super) value: Option<String>,
}

/// Why a resource was not changed.
pub(super) type Refused = (ErrorCode, String);

/// Settings of a group that Kafka's tools may change.
const GROUP_KEYS: [&str; 3] =
    ["consumer.heartbeat.interval.ms", "consumer.session.timeout.ms", "consumer.assignment.interval.ms"];
/// Settings of a telemetry subscription.
const CLIENT_METRICS_KEYS: [&str; 3] = ["interval.ms", "match", "metrics"];

/// A resource as a request names it, with what is to change.
pub(super) struct Wanted {
    pub(super) kind: i8,
    pub(super) name: Str,
    pub(super) changes: Result<Vec<Change>, Refused>,
}

/// What became of it.
pub(super) struct Changed {
    pub(super) kind: i8,
    pub(super) name: Str,
    pub(super) error_code: i16,
    pub(super) error_message: Option<Str>,
}

/// How a request wants resources to be changed.
#[derive(Clone, Copy)]
pub(super) struct How {
    /// What is not named is forgotten.
    pub(super) replace: bool,
    /// Nothing is changed, only checked.
    pub(super) validate_only: bool,
}

/// Changes the settings of each resource by itself, and waits until what changed is safe.
pub(super) async fn change_all(ctx: &Context, all: Vec<Wanted>, how: How) -> Vec<Changed> {
    let named: Named<(i8, Str)> = all.iter().map(|wanted| (wanted.kind, wanted.name.clone())).collect();
    let mut changed: Vec<Changed> = Vec::with_capacity(all.len());
    for Wanted { kind, name, changes } in all {
        let outcome = if named.is_repeated(&(kind, name.clone())) {
            Err((ErrorCode::InvalidRequest, format!("resource `{name}` is in the request more than once")))
        } else {
            changes.and_then(|changes| change(ctx, kind, &name, changes, how))
        };
        let (code, text) = outcome.err().unzip();
        let error_code = code.unwrap_or(ErrorCode::None).code();
        changed.push(Changed { kind, name, error_code, error_message: text.map(Str::from) });
    }
    if !how.validate_only
        && let Err(code) = ctx.broker.controller.sync().wait().await
    {
        for changed in changed.iter_mut().filter(|changed| changed.error_code == ErrorCode::None.code()) {
            changed.error_code = code.code();
        }
    }
    changed
}

/// Changes the settings of one resource.
fn change(ctx: &Context, kind: i8, name: &str, changes: Vec<Change>, how: How) -> Result<(), Refused> {
    let named: Named<&str> = changes.iter().map(|change| change.name.as_str()).collect();
    if let Some(change) = changes.iter().find(|change| named.is_repeated(change.name.as_str())) {
        let text = format!("setting `{}` is named more than once", change.name);
        return Err((ErrorCode::InvalidRequest, text));
    }
    match kind {
        TOPIC => change_topic(ctx, name, changes, how),
        BROKER => change_broker(ctx, name, changes, how),
        CLIENT_METRICS => {
            change_other(ctx, SettingsOf::ClientMetrics, name, &CLIENT_METRICS_KEYS, changes, how)
        }
        GROUP => change_other(ctx, SettingsOf::Group, name, &GROUP_KEYS, changes, how),
        other => Err((ErrorCode::InvalidRequest, format!("resource type {other} has no settings"))),
    }
}

fn change_topic(ctx: &Context, name: &str, changes: Vec<Change>, how: How) -> Result<(), Refused> {
    if crate::internal_topic::is_internal(name)
        && changes.iter().any(|change| change.name == "cleanup.policy")
    {
        return Err((ErrorCode::InvalidConfig, format!("`{name}` stays compacted: group state lives in it")));
    }
    let change = |settings: &Settings| -> Result<Overrides, NotChanged> {
        let mut own = if how.replace { Overrides::new() } else { settings.own.clone() };
        for change in changes {
            let current =
                topic_keys::find(&change.name).map(|key| ((key.get)(&settings.effective), key.kind));
            let current = current.ok_or_else(|| ConfigError::UnknownOfTopic(change.name.clone()));
            apply(&mut own, change, current.map_err(ChangeError::from)?)?;
        }
        Ok(own)
    };
    let controller = &ctx.broker.controller;
    controller.change_topic_settings(name, how.validate_only, change).map_err(|NotChanged(refused)| refused)
}

/// Settings of this broker, or of all of them if `name` is empty.
fn change_broker(ctx: &Context, name: &str, changes: Vec<Change>, how: How) -> Result<(), Refused> {
    let controller = &ctx.broker.controller;
    if !name.is_empty() && name != controller.own_name() {
        return Err((ErrorCode::InvalidRequest, format!("there is no broker `{name}`")));
    }
    let change = |set: &Overrides, config: &Config| -> Result<Overrides, NotChanged> {
        let mut set = if how.replace { Overrides::new() } else { set.clone() };
        for change in changes {
            if change.operation == Operation::Delete && !set.contains_key(&change.name) {
                // Kafka's tools tidy up throttles that they might have set, and that this broker does not even have.
                continue;
            }
            let current =
                config.printed(&change.name).ok_or_else(|| ConfigError::Unknown(change.name.clone()));
            let current = current.map_err(ChangeError::from)?;
            apply(&mut set, change, current)?;
        }
        Ok(set)
    };
    controller.change_broker_settings(name, how.validate_only, change).map_err(|NotChanged(refused)| refused)
}

/// Why settings were not changed: refused here or by the controller.
struct NotChanged(Refused);

impl From<Refused> for NotChanged {
    fn from(refused: Refused) -> NotChanged {
        NotChanged(refused)
    }
}

impl From<ChangeError> for NotChanged {
    fn from(error: ChangeError) -> NotChanged {
        NotChanged((error.code(), error.to_string()))
    }
}

fn change_other(
    ctx: &Context,
    kind: SettingsOf,
    name: &str,
    known: &[&str],
    changes: Vec<Change>,
    how: How,
) -> Result<(), Refused> {
    let controller = &ctx.broker.controller;
    if name.is_empty() {
        return Err((ErrorCode::InvalidRequest, "the resource needs a name".to_owned()));
    }
    let mut own = if how.replace { BTreeMap::new() } else { controller.settings_of(kind, name) };
    for change in changes {
        if !known.contains(&change.name.as_str()) {
            return Err((ErrorCode::InvalidConfig, format!("unknown setting `{}`", change.name)));
        }
        let numeric = change.name.ends_with(".ms");
        if numeric && change.value.as_ref().is_some_and(|value| value.parse::<u32>().is_err()) {
            return Err((ErrorCode::InvalidConfig, format!("`{}` must be a whole number", change.name)));
        }
        let current = own.get(&change.name).cloned().unwrap_or_default();
        apply(&mut own, change, (current, if numeric { Kind::Int } else { Kind::List }))?;
    }
    if how.validate_only {
        return Ok(());
    }
    controller.set_settings_of(kind, name, own).map_err(|error| (error.code(), error.to_string()))
}

fn apply(own: &mut BTreeMap<String, String>, change: Change, current: (String, Kind)) -> Result<(), Refused> {
    let Change { name, operation, value } = change;
    let (current, kind) = current;
    let words = |text: &str| -> Vec<String> {
        text.split(',').map(str::trim).filter(|word| !word.is_empty()).map(str::to_owned).collect()
    };
    match (operation, value) {
        (Operation::Delete, _) => {
            own.remove(&name);
        }
        (Operation::Set, Some(value)) => {
            own.insert(name, value);
        }
        (Operation::Set | Operation::Append | Operation::Subtract, None) => {
            return Err((ErrorCode::InvalidRequest, format!("`{name}` needs a value")));
        }
        (Operation::Append | Operation::Subtract, Some(_)) if kind != Kind::List => {
            return Err((ErrorCode::InvalidConfig, format!("`{name}` is no list")));
        }
        (Operation::Append, Some(value)) => {
            let mut list = words(&current);
            for word in words(&value) {
                if !list.contains(&word) {
                    list.push(word);
                }
            }
            own.insert(name, list.join(","));
        }
        (Operation::Subtract, Some(value)) => {
            let gone = words(&value);
            let list: Vec<String> = words(&current).into_iter().filter(|word| !gone.contains(word)).collect();
            own.insert(name, list.join(","));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn applied(operation: Operation, value: &str) -> String {
        let mut own = BTreeMap::new();
        let change = Change { name: "cleanup.policy".into(), operation, value: Some(value.into()) };
        apply(&mut own, change, ("delete".into(), Kind::List)).expect("a list");
        own.remove("cleanup.policy").unwrap_or_default()
    }

    #[test]
    fn lists_grow_and_shrink_from_what_is_in_force() {
        assert_eq!(applied(Operation::Append, "compact"), "delete,compact");
        assert_eq!(applied(Operation::Append, "delete"), "delete");
        assert_eq!(applied(Operation::Subtract, "delete"), "");
        assert_eq!(applied(Operation::Set, "compact"), "compact");
    }

    #[test]
    fn numbers_are_no_lists() {
        let change =
            Change { name: "retention.ms".into(), operation: Operation::Append, value: Some("5".into()) };
        assert!(apply(&mut BTreeMap::new(), change, ("1".into(), Kind::Long)).is_err());
    }
}
