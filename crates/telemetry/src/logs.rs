//! Log lines: for people by default, JSON for machines, always on standard error.

use std::io::IsTerminal;

use tracing_subscriber::fmt::format::FmtSpan;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Registry, fmt, reload};

/// The variable that names what is logged, in `tracing`'s syntax (`info,sqlx=warn`).
pub const FILTER_VARIABLE: &str = "PENSTOCK_LOG";

/// What is logged when nobody says otherwise: our own decisions, and of the libraries only what is wrong. The database
/// pool warns for each connection that an outage cuts, and kube's client for each request that fails; what comes of it
/// reaches our code as an error, and it logs one line.
const DEFAULT_FILTER: &str = "info,sqlx=error,hyper=warn,h2=warn,rustls=warn,tower=warn,kube_client=off";

/// How lines look.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Format {
    /// For people.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}

impl std::str::FromStr for Format {
    type Err = String;

    fn from_str(text: &str) -> Result<Format, String> {
        match text {
            "text" => Ok(Format::Text),
            "json" => Ok(Format::Json),
            other => Err(format!("{other:?} is not a log format: text or json")),
        }
    }
}

/// Why logging could not be set up or changed.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// The filter does not parse.
    #[error("`{filter}` is no log filter; examples: `info`, `debug`, `info,broker::connection=trace`")]
    Filter {
        /// What was given.
        filter: String,
        /// What the parser says.
        #[source]
        source: tracing_subscriber::filter::ParseError,
    },
    /// Somebody else set up logging in this process already.
    #[error("logging is set up already")]
    Taken,
}

/// Changes what a running process logs.
#[derive(Clone, Debug)]
pub struct LevelHandle(Option<reload::Handle<EnvFilter, Registry>>);

impl LevelHandle {
    /// A handle that changes nothing, for processes (tests) whose logging somebody else set up.
    #[must_use]
    pub fn detached() -> LevelHandle {
        LevelHandle(None)
    }

    /// The filter in force; empty for a detached handle.
    #[must_use]
    pub fn current(&self) -> String {
        self.0.as_ref().and_then(|handle| handle.with_current(ToString::to_string).ok()).unwrap_or_default()
    }

    /// Puts another filter in force, such as `debug` or `info,broker::connection=trace`.
    ///
    /// # Errors
    /// If it does not parse; the old one stays then.
    pub fn set(&self, filter: &str) -> Result<(), LogError> {
        let parsed = parse(filter)?;
        match &self.0 {
            Some(handle) => handle.reload(parsed).map_err(|_| LogError::Taken),
            None => Ok(()),
        }
    }
}

fn parse(filter: &str) -> Result<EnvFilter, LogError> {
    let source = |source| LogError::Filter { filter: filter.to_owned(), source };
    EnvFilter::builder().parse(filter).map_err(source)
}

/// Starts logging for the whole process with this filter, changeable while it runs.
///
/// # Errors
/// If the filter does not parse or logging was started before.
pub fn install(format: Format, filter: &str) -> Result<LevelHandle, LogError> {
    let (filter, handle) = reload::Layer::new(parse(filter)?);
    let registry = tracing_subscriber::registry().with(filter);
    let lines = fmt::layer().with_writer(std::io::stderr).with_span_events(FmtSpan::NONE);
    let started = match format {
        Format::Text => registry.with(lines.with_ansi(std::io::stderr().is_terminal())).try_init(),
        Format::Json => registry.with(lines.json().flatten_event(true).with_current_span(false)).try_init(),
    };
    started.map_err(|_| LogError::Taken)?;
    Ok(LevelHandle(Some(handle)))
}

/// Starts logging for the whole process, as [`FILTER_VARIABLE`] says. A second call changes nothing, so that tests may
/// all call it.
pub fn init(format: Format) -> LevelHandle {
    let filter = std::env::var(FILTER_VARIABLE).unwrap_or_else(|_| DEFAULT_FILTER.to_owned());
    install(format, &filter)
        .or_else(|_| install(format, DEFAULT_FILTER))
        .unwrap_or_else(|_| LevelHandle::detached())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_filter_can_be_read_and_changed_and_nonsense_is_refused() {
        let handle = install(Format::Text, "info").expect("first in this process");
        assert_eq!(handle.current(), "info");
        handle.set("debug").expect("a level");
        assert_eq!(handle.current(), "debug");
        assert!(matches!(handle.set("a=b=c"), Err(LogError::Filter { .. })));
        assert_eq!(handle.current(), "debug");
        assert!(matches!(install(Format::Json, "info"), Err(LogError::Taken)));
        assert_eq!(init(Format::Text).current(), "", "a second start is harmless and changes nothing");
    }

    #[test]
    fn formats_have_names() {
        assert_eq!("json".parse(), Ok(Format::Json));
        assert!("xml".parse::<Format>().is_err());
    }
}
