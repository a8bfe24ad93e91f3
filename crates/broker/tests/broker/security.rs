//! TLS listeners: who gets in, and who does not.

use std::io::Write;
use std::net::TcpStream;
use std::path::Path;
use std::sync::Arc;

use protocol::messages::api_versions::ApiVersionsRequest;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned, SupportedProtocolVersion};

use super::client::{Client, batch, values};
use super::process::{Broker, PATIENCE};

struct Ca(CertifiedIssuer<'static, KeyPair>);

impl Ca {
    fn new(name: &str) -> Ca {
        let mut params = CertificateParams::new(Vec::new()).expect("no names");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, name);
        Ca(CertifiedIssuer::self_signed(params, KeyPair::generate().expect("a key")).expect("signed"))
    }

    fn issue(&self, name: &str, hosts: &[&str]) -> (String, String) {
        let hosts: Vec<String> = hosts.iter().map(ToString::to_string).collect();
        let mut params = CertificateParams::new(hosts).expect("host names");
        params.distinguished_name.push(DnType::CommonName, name);
        let key = KeyPair::generate().expect("a key");
        let certificate = params.signed_by(&key, &self.0).expect("signed");
        (certificate.pem(), key.serialize_pem())
    }
}

fn write(path: &Path, content: &str) {
    std::fs::File::create(path).expect("writable").write_all(content.as_bytes()).expect("room");
}

type Tls = StreamOwned<ClientConnection, TcpStream>;

fn connect(
    broker: &Broker,
    server: &Ca,
    identity: Option<&(String, String)>,
    version: &'static SupportedProtocolVersion,
    with_sni: bool,
) -> Client<Tls> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(server.0.pem().as_bytes()).expect("PEM")).expect("a CA");
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[version])
        .expect("supported")
        .with_root_certificates(roots);
    let mut config = match identity {
        None => builder.with_no_client_auth(),
        Some((certificate, key)) => builder
            .with_client_auth_cert(
                vec![CertificateDer::from_pem_slice(certificate.as_bytes()).expect("PEM")],
                PrivateKeyDer::from_pem_slice(key.as_bytes()).expect("PEM"),
            )
            .expect("a pair"),
    };
    config.enable_sni = with_sni;
    let stream = TcpStream::connect(&broker.address).expect("the broker listens");
    stream.set_read_timeout(Some(PATIENCE)).expect("a socket");
    let name = ServerName::try_from("localhost").expect("a name");
    let connection = ClientConnection::new(Arc::new(config), name).expect("a client");
    Client::over(StreamOwned::new(connection, stream))
}

fn gets_in(mut client: Client<Tls>) -> bool {
    let header = [0, 0, 0, 10, 0, 18, 0, 0, 0, 0, 0, 1, 255, 255];
    client.stream.write_all(&header).is_ok() && client.receive_frame().is_ok()
}

#[test]
fn only_clients_with_a_certificate_of_the_clients_ca_get_in() {
    let dir = Arc::new(tempfile::tempdir().expect("a directory"));
    let (server, clients, strangers) = (Ca::new("cluster"), Ca::new("clients"), Ca::new("strangers"));
    let (certificate, key) = server.issue("broker", &["localhost"]);
    write(&dir.path().join("node.pem"), &format!("{certificate}{key}"));
    write(&dir.path().join("clients-ca.pem"), &clients.0.pem());
    let config = dir.path().join("server.properties");
    write(
        &config,
        "node.id=4\nlog.dirs=data\nlisteners=SSL://127.0.0.1:0\nssl.keystore.location=node.pem\n\
         ssl.truststore.location=clients-ca.pem\nssl.client.auth=required\npenstock.admin.listener=127.0.0.1:0\n",
    );
    let broker = Broker::run(&config, Arc::clone(&dir));
    let friend = clients.issue("friend", &[]);
    let stranger = strangers.issue("stranger", &[]);
    for version in [&rustls::version::TLS12, &rustls::version::TLS13] {
        for with_sni in [true, false] {
            assert!(gets_in(connect(&broker, &server, Some(&friend), version, with_sni)), "{version:?}");
        }
        assert!(!gets_in(connect(&broker, &server, None, version, true)), "no certificate, {version:?}");
        assert!(
            !gets_in(connect(&broker, &server, Some(&stranger), version, true)),
            "a stranger, {version:?}"
        );
    }
    // Plain bytes on a TLS port.
    let mut plain = Client::connect(&broker);
    plain.send(0, &ApiVersionsRequest::default());
    assert!(plain.receive_frame().is_err());
    let failed = r#"penstock_broker_connections_closed_total{reason="tls_handshake"}"#;
    assert!(super::process::eventually(|| broker.metric(failed) >= 5.0));

    // A request goes through, and its answer names this listener.
    let mut client = connect(&broker, &server, Some(&friend), &rustls::version::TLS13, true);
    let request =
        protocol::messages::metadata::MetadataRequest { topics: Some(Vec::new()), ..Default::default() };
    let response = client.call(12, &request);
    let told = &response.brokers[0];
    assert_eq!((told.node_id, format!("{}:{}", told.host, told.port)), (4, broker.address.clone()));
    assert!(broker.admin("GET /v1/status HTTP/1.1").1.contains(r#""SSL""#));
    // Records far larger than any buffer on the way go in and come back.
    assert_eq!(client.create("t", 1, &[("retention.ms", "-1")]), 0);
    let large = "x".repeat(900_000);
    for _ in 0..3 {
        assert_eq!(client.produce("t", 0, batch(&[&large])).error_code, 0);
    }
    for offset in 0..3 {
        assert_eq!(values(&client.fetch("t", 0, offset, 0)), [large.as_str()]);
    }
}
