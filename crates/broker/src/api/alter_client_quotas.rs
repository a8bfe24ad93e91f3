//! AlterClientQuotas, key 49: sets and removes rates of users and client ids.

use std::collections::BTreeMap;

use protocol::messages::alter_client_quotas::{
    AlterClientQuotasRequest, AlterClientQuotasResponse, EntryData, OpData, ResponseEntryData,
};
use protocol::{ApiKey, ErrorCode, Str};

use super::Api;
use crate::context::Context;
use crate::metadata::record::SettingsOf;
use crate::quota::{Entity, Rate};

pub(super) const API: Api = Api::new(ApiKey::AlterClientQuotas, 0, 1);

type Refused = (ErrorCode, String);

pub(super) async fn handle(ctx: &Context, request: AlterClientQuotasRequest) -> AlterClientQuotasResponse {
    let dry_run = request.validate_only;
    let mut entries: Vec<_> = request
        .entries
        .into_iter()
        .map(|entry| {
            let (code, text) = change(ctx, &entry, dry_run).err().unzip();
            ResponseEntryData {
                error_code: code.unwrap_or(ErrorCode::None).code(),
                error_message: text.map(Str::from),
                entity: entry.entity,
            }
        })
        .collect();
    if !dry_run {
        let controller = &ctx.broker.controller;
        ctx.broker.quotas.refresh(|| controller.all_settings_of(SettingsOf::Quota));
        if let Err(code) = controller.sync().wait().await {
            entries.iter_mut().for_each(|entry| entry.error_code = code.code());
        }
    }
    AlterClientQuotasResponse { entries, ..AlterClientQuotasResponse::default() }
}

fn change(ctx: &Context, entry: &EntryData, dry_run: bool) -> Result<(), Refused> {
    let parts = entry.entity.iter().map(|part| (part.entity_type.as_str(), part.entity_name.as_deref()));
    let entity = Entity::new(parts).map_err(|error| (ErrorCode::InvalidRequest, error.to_string()))?;
    let (controller, key) = (&ctx.broker.controller, entity.key());
    let mut set = controller.settings_of(SettingsOf::Quota, &key);
    for operation in &entry.ops {
        apply(&mut set, operation)?;
    }
    if dry_run {
        return Ok(());
    }
    let changed = controller.set_settings_of(SettingsOf::Quota, &key, set);
    changed.map_err(|error| (error.code(), error.to_string()))
}

fn apply(set: &mut BTreeMap<String, String>, operation: &OpData) -> Result<(), Refused> {
    let invalid = |text: String| (ErrorCode::InvalidRequest, text);
    let key = operation.key.as_str();
    let rate = Rate::from_key(key).ok_or_else(|| invalid(format!("this broker has no quota `{key}`")))?;
    if operation.remove {
        set.remove(key);
        return Ok(());
    }
    let value = operation.value;
    let is_in_bytes = rate != Rate::Time;
    if !value.is_finite() || value <= 0.0 || (is_in_bytes && value.fract() != 0.0) {
        let kind = if is_in_bytes { "whole number of bytes" } else { "number" };
        return Err(invalid(format!("`{key}` must be a positive {kind}")));
    }
    set.insert(key.to_owned(), value.to_string());
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_that_nobody_could_mean_are_refused() {
        let with = |key: &'static str, value: f64| {
            let operation = OpData { key: Str::from_static(key), value, ..OpData::default() };
            apply(&mut BTreeMap::new(), &operation)
        };
        assert_eq!(with("producer_byte_rate", 1024.0), Ok(()));
        assert_eq!(with("request_percentage", 12.5), Ok(()));
        for (key, value) in [
            ("producer_byte_rate", 0.0),
            ("producer_byte_rate", 1.5),
            ("consumer_byte_rate", f64::NAN),
            ("request_percentage", -1.0),
            ("controller_mutation_rate", 5.0),
        ] {
            assert!(with(key, value).is_err(), "{key}={value}");
        }
    }
}
