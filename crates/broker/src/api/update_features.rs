//! UpdateFeatures, key 57: feature levels are finalized by whoever upgrades the cluster. Levels here have one value, so
//! that only updates to what is in force succeed.

use protocol::messages::update_features::{
    FeatureUpdateKey, UpdatableFeatureResult, UpdateFeaturesRequest, UpdateFeaturesResponse,
};
use protocol::{ApiKey, ErrorCode, Str};

use super::{Api, features};
use crate::context::Context;

pub(super) const API: Api = Api::new(ApiKey::UpdateFeatures, 0, 2);

/// From this version on one failure fails the whole request and there are no results.
const FIRST_ALL_OR_NOTHING: i16 = 2;

pub(super) async fn handle(ctx: &Context, request: UpdateFeaturesRequest) -> UpdateFeaturesResponse {
    let results: Vec<UpdatableFeatureResult> = request
        .feature_updates
        .iter()
        .map(|update| {
            let refusal = refusal(update);
            UpdatableFeatureResult {
                feature: update.feature.clone(),
                error_code: refusal.as_ref().map_or(ErrorCode::None, |(code, _)| *code).code(),
                error_message: refusal.map(|(_, text)| Str::from(text)),
            }
        })
        .collect();
    if ctx.version < FIRST_ALL_OR_NOTHING {
        return UpdateFeaturesResponse { results, ..UpdateFeaturesResponse::default() };
    }
    let failed = results.into_iter().find(|result| result.error_code != ErrorCode::None.code());
    UpdateFeaturesResponse {
        error_code: failed.as_ref().map_or(0, |result| result.error_code),
        error_message: failed.and_then(|result| result.error_message),
        ..UpdateFeaturesResponse::default()
    }
}

fn refusal(update: &FeatureUpdateKey) -> Option<(ErrorCode, String)> {
    let name = update.feature.as_str();
    let wanted = update.max_version_level;
    match features::FEATURES.iter().find(|feature| feature.name == name) {
        None => Some((ErrorCode::InvalidUpdateVersion, format!("this broker has no feature `{name}`"))),
        Some(feature) if (feature.min..=feature.max).contains(&wanted) => None,
        Some(feature) => {
            let (min, max) = (feature.min, feature.max);
            let text = format!("feature `{name}` has levels {min} to {max} here, not {wanted}");
            Some((ErrorCode::InvalidUpdateVersion, text))
        }
    }
}
