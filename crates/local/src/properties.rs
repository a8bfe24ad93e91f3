//! From a specification to the broker's configuration file. Pure.

use std::net::{IpAddr, SocketAddr};

use model::action::BrokerSpec;

use crate::layout::{BrokerDir, Ports};

/// The text of `server.properties`. What the intent's configuration says about a setting that is ours to choose is
/// left out: addresses and directories belong to the substrate.
pub(crate) fn of(
    spec: &BrokerSpec,
    incarnation: &str,
    host: IpAddr,
    ports: Ports,
    dir: &BrokerDir,
) -> String {
    let client = SocketAddr::new(host, ports.client);
    let ours = [
        ("node.id", spec.broker.to_string()),
        ("cluster.id", spec.cluster.kafka_form()),
        ("log.dirs", dir.data().display().to_string()),
        ("listeners", format!("SSL://{client}")),
        ("advertised.listeners", format!("SSL://{client}")),
        ("ssl.keystore.location", dir.identity().display().to_string()),
        ("ssl.truststore.location", dir.client_cas().display().to_string()),
        ("ssl.client.auth", "required".to_owned()),
        ("penstock.admin.listener", SocketAddr::new(host, ports.admin).to_string()),
        ("penstock.instance", incarnation.to_owned()),
    ];
    let wanted = spec.config.iter().filter(|(key, _)| !ours.iter().any(|(our, _)| our == key));
    let mut text = format!(
        "# Broker {} of cluster {}. Written by penstock-server at every start; changes are lost.\n",
        spec.broker, spec.cluster_name
    );
    for (key, value) in &ours {
        text.push_str(&format!("{key}={value}\n"));
    }
    for (key, value) in wanted {
        text.push_str(&format!("{key}={value}\n"));
    }
    text
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::net::Ipv4Addr;
    use std::path::Path;

    use model::intent::{Listener, Security};
    use model::version::Release;
    use model::{BrokerId, ClusterId};
    use uuid::Uuid;

    use super::*;
    use crate::layout::Root;

    #[test]
    fn ours_come_first_and_cannot_be_overridden() {
        let spec = BrokerSpec {
            cluster: ClusterId(Uuid::nil()),
            cluster_name: "orders".to_owned(),
            broker: BrokerId(1),
            pool: "brokers".to_owned(),
            release: Release("1.0.0".to_owned()),
            storage: model::size::Bytes::gib(1),
            listeners: vec![Listener { name: "SSL".to_owned(), security: Security::MutualTls }],
            client_cas: Vec::new(),
            config: BTreeMap::from(
                [("log.dirs", "/elsewhere"), ("num.partitions", "8")]
                    .map(|(k, v)| (k.to_owned(), v.to_owned())),
            ),
        };
        let dir = Root::new(Path::new("/d")).cluster(spec.cluster).broker(spec.broker);
        let ports = Ports { client: 19_096, admin: 19_097 };
        let text = of(&spec, "abc", IpAddr::V4(Ipv4Addr::LOCALHOST), ports, &dir);
        let place = "/d/clusters/00000000-0000-0000-0000-000000000000/brokers/1";
        let lines: Vec<&str> = text.lines().skip(1).collect();
        assert_eq!(
            lines,
            [
                "node.id=1",
                "cluster.id=AAAAAAAAAAAAAAAAAAAAAA",
                &format!("log.dirs={place}/data"),
                "listeners=SSL://127.0.0.1:19096",
                "advertised.listeners=SSL://127.0.0.1:19096",
                &format!("ssl.keystore.location={place}/node.pem"),
                &format!("ssl.truststore.location={place}/clients-ca.pem"),
                "ssl.client.auth=required",
                "penstock.admin.listener=127.0.0.1:19097",
                "penstock.instance=abc",
                "num.partitions=8",
            ]
        );
    }
}
