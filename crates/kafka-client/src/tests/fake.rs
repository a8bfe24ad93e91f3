//! A broker that answers what the test says.

use std::net::SocketAddr;
use std::time::Duration;

use protocol::frame::{self, RequestHeader};
use protocol::messages::ApiVersionsResponse;
use protocol::messages::api_versions::ApiVersion;
use protocol::{ApiKey, Decoder, Encoder, ErrorCode, Message};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use crate::Config;

/// What to do with a request.
pub(super) enum Answer {
    /// Send this frame, length and all.
    Frame(Vec<u8>),
    /// Say nothing.
    Silence,
    /// Close the connection.
    Hangup,
}

/// Listens for as long as the test runs, and answers every connection by `script`.
pub(super) async fn broker<F>(script: F) -> (SocketAddr, JoinHandle<()>)
where
    F: Fn(&RequestHeader, &mut Decoder) -> Answer + Clone + Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let task = tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            tokio::spawn(serve(stream, script.clone()));
        }
    });
    (address, task)
}

pub(super) async fn serve<F>(mut stream: impl AsyncRead + AsyncWrite + Unpin, script: F)
where
    F: Fn(&RequestHeader, &mut Decoder) -> Answer,
{
    let mut prefix = [0; frame::LENGTH_BYTES];
    while stream.read_exact(&mut prefix).await.is_ok() {
        let mut request = vec![0; frame::request_length(prefix, 1 << 20).unwrap()];
        stream.read_exact(&mut request).await.unwrap();
        let (header, mut body) = RequestHeader::decode(request.into()).unwrap();
        match script(&header, &mut body) {
            Answer::Frame(bytes) => stream.write_all(&bytes).await.unwrap(),
            Answer::Silence => {}
            Answer::Hangup => return,
        }
    }
}

pub(super) fn answer(header: &RequestHeader, body: &impl Message) -> Answer {
    let mut out: Encoder = frame::response(header.key, header.version, header.correlation_id).unwrap();
    body.encode(&mut out, header.version).unwrap();
    Answer::Frame(out.finish().into_bytes().unwrap().to_vec())
}

/// The usual answer to ApiVersions: everything in the versions that we know.
pub(super) fn versions(header: &RequestHeader) -> Answer {
    let row = |key: &ApiKey| ApiVersion {
        api_key: key.code(),
        min_version: key.request_versions().lowest,
        max_version: key.request_versions().highest,
    };
    let api_keys = ApiKey::ALL.iter().map(row).collect();
    answer(header, &ApiVersionsResponse { api_keys, ..ApiVersionsResponse::default() })
}

/// What an old broker says to a version of ApiVersions that it does not know.
pub(super) fn versions_refused(header: &RequestHeader) -> Answer {
    let refused = ApiVersionsResponse {
        error_code: ErrorCode::UnsupportedVersion.code(),
        ..ApiVersionsResponse::default()
    };
    let mut out = frame::response(ApiKey::ApiVersions, 0, header.correlation_id).unwrap();
    refused.encode(&mut out, 0).unwrap();
    Answer::Frame(out.finish().into_bytes().unwrap().to_vec())
}

pub(super) fn config(address: SocketAddr) -> Config {
    let mut config = Config::new(vec![("127.0.0.1".into(), address.port())]);
    config.timeout = Duration::from_secs(5);
    config
}
