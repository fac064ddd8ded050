//! Loaded TLS certificates, from the TLS section of INFO on Valkey 9.1.

use crate::collector::{Collector, INFO, Read, Replies};
use crate::metric::{Family, Snapshot, Unit, source};

#[rustfmt::skip] // One metric, one line.
mod rows {
    use super::{Family, Unit, source};

    pub(super) static EXPIRY: Family<1> = Family::gauge("redis_tls_certificate_expiry_timestamp_seconds", &["certificate"], source("INFO", "tls_<certificate>_cert_expires_in_seconds"), Unit::Seconds, "Expiry time of a certificate of the server in seconds since the epoch, on Valkey.");
}

/// Label value, field of the serial number, and field of the remaining seconds.
const CERTIFICATES: &[(&str, &str, &str)] = &[
    (
        "server",
        "tls_server_cert_serial",
        "tls_server_cert_expires_in_seconds",
    ),
    (
        "client",
        "tls_client_cert_serial",
        "tls_client_cert_expires_in_seconds",
    ),
    ("ca", "tls_ca_cert_serial", "tls_ca_cert_expires_in_seconds"),
];

/// Reads the expiration times of certificates.
pub static COLLECTOR: Collector = Collector {
    name: "certificates",
    about: "Expiry of the certificates of a Valkey server.",
    queries: &[&INFO],
    families: || vec![rows::EXPIRY.descriptor()],
    read: Read::Samples(read),
    ..Collector::ON
};

fn read(replies: &Replies, snapshot: &mut Snapshot) {
    let info = &replies.info;
    // Both are whole seconds; otherwise the expiration time would shift between polls.
    let Some(now) = info
        .number("server_time_usec")
        .map(|now| (now / 1e6).floor())
    else {
        return;
    };
    for (certificate, serial, left) in CERTIFICATES {
        // Without a certificate, 0 seconds remain, like for an expired one. Only the serial differs.
        let is_loaded = info.get(serial).is_some_and(|serial| serial != "none");
        if let Some(left) = info.number(left).filter(|_| is_loaded) {
            snapshot.push(&rows::EXPIRY, [certificate], now + left);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::collector::reading;

    #[test]
    fn only_loaded_certificates_expire() {
        let valkey = "# Server\r\nserver_time_usec:1795442100900000\r\n# TLS\r\n\
            tls_server_cert_serial:01A2\r\ntls_server_cert_expires_in_seconds:3600\r\n\
            tls_client_cert_serial:none\r\ntls_client_cert_expires_in_seconds:0\r\n\
            tls_ca_cert_serial:03C4\r\ntls_ca_cert_expires_in_seconds:0\r\n";
        let expected = [
            "redis_tls_certificate_expiry_timestamp_seconds{ca} 1795442100",
            "redis_tls_certificate_expiry_timestamp_seconds{server} 1795445700",
        ];
        assert_eq!(reading::of_info(&COLLECTOR, valkey), expected);
    }
}
