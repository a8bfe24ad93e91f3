//! What the definition says, and that objects, intents and statuses carry the same.

mod conversion;
mod rules;
