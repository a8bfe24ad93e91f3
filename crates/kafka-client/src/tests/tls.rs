//! Mutual TLS, and certificates that do not fit.

use std::sync::Arc;

use protocol::ApiKey;
use protocol::messages::DescribeClusterResponse;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::pki_types::PrivateKeyDer;
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use super::fake::{self, Answer, answer};
use crate::{Admin, Error, Tls};

type Authority = CertifiedIssuer<'static, KeyPair>;

fn authority() -> Authority {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
}

fn leaf(authority: &Authority, name: &str) -> (rcgen::Certificate, KeyPair) {
    let key = KeyPair::generate().unwrap();
    let certificate = CertificateParams::new([name.to_owned()]).unwrap().signed_by(&key, authority).unwrap();
    (certificate, key)
}

/// A broker for `127.0.0.1` that trusts clients of `clients`.
async fn broker(servers: &Authority, clients: &Authority) -> std::net::SocketAddr {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut roots = RootCertStore::empty();
    roots.add(clients.der().clone()).unwrap();
    let verifier =
        WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider.clone()).build().unwrap();
    let (certificate, key) = leaf(servers, "127.0.0.1");
    let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_client_cert_verifier(verifier)
        .with_single_cert(vec![certificate.der().clone()], key)
        .unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((socket, _)) = listener.accept().await {
            if let Ok(stream) = acceptor.accept(socket).await {
                let script =
                    |header: &protocol::frame::RequestHeader, _: &mut protocol::Decoder| match header.key {
                        ApiKey::ApiVersions => fake::versions(header),
                        ApiKey::DescribeCluster => answer(
                            header,
                            &DescribeClusterResponse { cluster_id: "tls".into(), ..Default::default() },
                        ),
                        _ => Answer::Hangup,
                    };
                fake::serve(stream, script).await;
            }
        }
    });
    address
}

fn tls(servers: &Authority, clients: &Authority) -> Tls {
    let (certificate, key) = leaf(clients, "client");
    Tls { ca_pem: servers.pem(), cert_pem: certificate.pem(), key_pem: key.serialize_pem() }
}

#[tokio::test]
async fn both_sides_prove_who_they_are() {
    let (servers, clients, strangers) = (authority(), authority(), authority());
    let address = broker(&servers, &clients).await;
    let config = || fake::config(address);
    let admin = Admin::connect(config().with_tls(tls(&servers, &clients))).await.unwrap();
    assert_eq!(admin.describe_cluster().await.unwrap().id, "tls");
    drop(admin);

    let error =
        Admin::connect(config().with_tls(tls(&strangers, &clients))).await.expect_err("unknown broker");
    assert!(error.to_string().contains("invalid peer certificate"), "{error}");
    let error =
        Admin::connect(config().with_tls(tls(&servers, &strangers))).await.expect_err("unknown client");
    assert!(matches!(error, Error::Unreachable { .. }), "{error}");
}

#[tokio::test]
async fn pem_that_is_none_is_named() {
    let (servers, clients) = (authority(), authority());
    let good = tls(&servers, &clients);
    let config = |tls| fake::config(([127, 0, 0, 1], 1).into()).with_tls(tls);
    let cases = [
        (Tls { ca_pem: "nothing".into(), ..good.clone() }, "the brokers' CA certificate"),
        (Tls { cert_pem: String::new(), ..good.clone() }, "the client's certificate"),
        (Tls { key_pem: good.cert_pem.clone(), ..good.clone() }, "the client's private key"),
        (
            Tls { key_pem: tls(&servers, &clients).key_pem, ..good.clone() },
            "the client's certificate with its key",
        ),
    ];
    for (tls, part) in cases {
        let error = Admin::connect(config(tls)).await.expect_err(part);
        assert!(matches!(error, Error::Config { what, .. } if what == part), "{error}");
    }
    assert_eq!(format!("{good:?}"), "Tls { .. }");
}
