//! When certificates are renewed.
//!
//! A broker reads its certificate when it starts, so renewing one is restarting its broker, in turn and with every
//! precaution of any other change. A client's certificate is only handed out anew.

use std::time::Duration;

use model::Timestamp;
use model::certificate::Validity;

/// When a certificate is renewed: after two thirds of its life. Whatever keeps that from happening (a paused cluster, a
/// broker that checks its logs, an operator that is away) then has a third of its life to pass: nine months for those
/// that we give to brokers.
#[must_use]
pub fn renewed_at(certificate: Validity) -> Timestamp {
    certificate.from.plus(life(certificate) * 2 / 3)
}

/// Whether a certificate is to be renewed.
#[must_use]
pub fn is_due(certificate: Validity, now: Timestamp) -> bool {
    now >= renewed_at(certificate)
}

fn life(certificate: Validity) -> Duration {
    certificate.until.since(certificate.from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_third_of_its_life_is_left_when_a_certificate_is_renewed() {
        let year = Validity { from: Timestamp(1_000), until: Timestamp(1_000 + 360 * 86_400_000) };
        assert_eq!(renewed_at(year), Timestamp(1_000 + 240 * 86_400_000));
        assert!(!is_due(year, Timestamp(renewed_at(year).0 - 1)));
        assert!(is_due(year, renewed_at(year)));
        // One that makes no sense has to be replaced, not to be waited for.
        assert!(is_due(Validity { from: Timestamp(9), until: Timestamp(3) }, Timestamp(9)));
    }
}
