//! DescribeClientQuotas, key 48: which rates are set for whom.

use protocol::messages::describe_client_quotas::{
    ComponentData, DescribeClientQuotasRequest, DescribeClientQuotasResponse, EntityData, EntryData,
    ValueData,
};
use protocol::{ApiKey, ErrorCode, Str};

use super::Api;
use crate::context::Context;
use crate::metadata::record::SettingsOf;
use crate::quota::Entity;

pub(super) const API: Api = Api::new(ApiKey::DescribeClientQuotas, 0, 1);

// How a component of the filter matches, in Kafka's numbers.
const EXACTLY: i8 = 0;
const DEFAULT: i8 = 1;
const ANY: i8 = 2;

pub(super) async fn handle(
    ctx: &Context,
    request: DescribeClientQuotasRequest,
) -> DescribeClientQuotasResponse {
    if let Err(text) = check(&request.components) {
        return DescribeClientQuotasResponse {
            error_code: ErrorCode::InvalidRequest.code(),
            error_message: Some(Str::from(text)),
            ..DescribeClientQuotasResponse::default()
        };
    }
    let mut entries = Vec::new();
    for (key, values) in ctx.broker.controller.all_settings_of(SettingsOf::Quota) {
        let Some(entity) = Entity::from_key(&key) else { continue };
        if !is_wanted(&entity, &request.components, request.strict) {
            continue;
        }
        let parts = entity.parts().map(|(kind, name)| EntityData {
            entity_type: Str::from_static(kind),
            entity_name: name.map(Str::from),
        });
        let values = values.into_iter().filter_map(|(key, value)| {
            let value = value.parse().ok()?;
            Some(ValueData { key: Str::from(key), value })
        });
        entries.push(EntryData { entity: parts.collect(), values: values.collect() });
    }
    DescribeClientQuotasResponse { entries: Some(entries), ..DescribeClientQuotasResponse::default() }
}

fn check(components: &[ComponentData]) -> Result<(), String> {
    for (at, component) in components.iter().enumerate() {
        let kind = &component.entity_type;
        if !matches!(kind.as_str(), "user" | "client-id" | "ip") {
            return Err(format!("`{kind}` has no quotas"));
        }
        if components[..at].iter().any(|other| other.entity_type == *kind) {
            return Err(format!("`{kind}` is named twice"));
        }
        match (component.match_type, &component.r#match) {
            (EXACTLY, Some(_)) | (DEFAULT | ANY, None) => {}
            (EXACTLY | DEFAULT | ANY, _) => {
                return Err(format!("the match of `{kind}` does not fit its type"));
            }
            (other, _) => return Err(format!("match type {other} is unknown")),
        }
    }
    Ok(())
}

/// Whether every component of the filter matches; a strict filter also wants nothing besides them.
fn is_wanted(entity: &Entity, components: &[ComponentData], strict: bool) -> bool {
    let parts: Vec<_> = entity.parts().collect();
    let all = components.iter().all(|component| {
        parts.iter().any(|(kind, name)| {
            *kind == component.entity_type.as_str()
                && match component.match_type {
                    EXACTLY => name.is_some() && *name == component.r#match.as_deref(),
                    DEFAULT => name.is_none(),
                    _ => true,
                }
        })
    });
    all && (!strict || parts.len() == components.len())
}
