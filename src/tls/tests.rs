//! Valid, mismatched and broken files.

use std::fs;
use std::path::{Path, PathBuf};

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedKey, IsCa, KeyPair, generate_simple_self_signed,
};
use tempfile::TempDir;

use super::{
    Stamp, Trust, Version, authorities, certificates, client, client_authorities, identity, key,
    server,
};

fn made() -> CertifiedKey<KeyPair> {
    generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap()
}

fn file(folder: &TempDir, name: &str, text: impl AsRef<[u8]>) -> PathBuf {
    let path = folder.path().join(name);
    fs::write(&path, text).unwrap();
    path
}

fn pair(folder: &TempDir, name: &str) -> (PathBuf, PathBuf) {
    let made = made();
    (
        file(folder, &format!("{name}.pem"), made.cert.pem()),
        file(
            folder,
            &format!("{name}.key"),
            made.signing_key.serialize_pem(),
        ),
    )
}

#[test]
fn a_pair_serves_both_sides() {
    let folder = tempfile::tempdir().unwrap();
    let (certificate, key_file) = pair(&folder, "a");
    assert_eq!(certificates(&certificate), Ok(()));
    assert_eq!(key(&key_file, &certificate), Ok(()));
    let ours = || identity(&certificate, &key_file).unwrap();
    let roots = || authorities(&certificate).unwrap();
    for trust in [Trust::Authorities(roots()), Trust::Everyone] {
        client(trust, Some(ours())).unwrap();
    }
    let mut parameters = CertificateParams::new(Vec::new()).unwrap();
    parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority = parameters.self_signed(&KeyPair::generate().unwrap());
    let authority = file(&folder, "authority.pem", authority.unwrap().pem());
    for oldest in [Version::Tls12, Version::Tls13] {
        let roots = client_authorities(&authority).unwrap();
        server(ours(), Some(roots), oldest).unwrap();
        server(ours(), None, oldest).unwrap();
    }
    // Its key could issue certificates for any client.
    let fault = client_authorities(&certificate).unwrap_err();
    assert!(fault.what.contains("may not issue others"), "{fault}");
}

#[test]
fn a_key_and_certificate_may_share_a_file() {
    let folder = tempfile::tempdir().unwrap();
    let made = made();
    let both = made.signing_key.serialize_pem() + &made.cert.pem();
    let both = file(&folder, "both.pem", both);
    assert_eq!(key(&both, &both), Ok(()));
    identity(&both, &both).unwrap();
}

#[test]
fn key_of_another_certificate_is_rejected() {
    let folder = tempfile::tempdir().unwrap();
    let (certificate, _) = pair(&folder, "a");
    let (_, other) = pair(&folder, "b");
    let fault = key(&other, &certificate).unwrap_err();
    assert_eq!(fault.what, "is not the key of the certificate");
    let text = identity(&certificate, &other).unwrap_err().to_string();
    assert!(text.contains("b.key is not the key"), "{text}");
}

#[test]
fn invalid_file_has_a_reason() {
    let folder = tempfile::tempdir().unwrap();
    let (certificate, key_file) = pair(&folder, "a");
    let whole = fs::read_to_string(&certificate).unwrap();
    let half = file(&folder, "half.pem", &whole[..whole.len() / 2]);
    let junk = file(&folder, "junk.pem", b"\xff\x00 hunter2");
    let body = "-----BEGIN CERTIFICATE-----\naHVudGVyMg==\n-----END CERTIFICATE-----\n";
    let no_certificate = file(&folder, "body.pem", body);
    let encrypted = "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n\
                     -----END ENCRYPTED PRIVATE KEY-----\n";
    let encrypted = file(&folder, "encrypted.key", encrypted);
    let large = file(&folder, "large.pem", vec![b'x'; (1 << 20) + 1]);
    for (path, expected) in [
        (&half, "breaks off"),
        (&junk, "holds no certificate"),
        (&no_certificate, "cannot be understood"),
        (&key_file, "holds no certificate"),
        (&large, "is larger than 1024 KiB"),
        (&folder.path().to_owned(), "is not a regular file"),
        (&PathBuf::from("/missing"), "cannot be read"),
    ] {
        let fault = authorities(path).unwrap_err();
        assert!(fault.what.contains(expected), "{path:?}: {fault}");
        assert!(!fault.to_string().contains("hunter2"), "{fault}");
    }
    for (path, expected) in [
        (&certificate, "holds no private key"),
        (&encrypted, "holds a key that has a password"),
    ] {
        let fault = key(path, &certificate).unwrap_err();
        assert!(fault.what.contains(expected), "{path:?}: {fault}");
    }
    // A fault of the certificate is not reported for the key.
    assert_eq!(key(&key_file, &half), Ok(()));
}

#[test]
fn a_stamp_changes_with_each_file() {
    let folder = tempfile::tempdir().unwrap();
    let one = file(&folder, "one", "1");
    let two = folder.path().join("two");
    let stamp = || Stamp::of([&*one, &*two]);
    let first = stamp();
    assert_eq!(first, stamp());
    file(&folder, "two", "2");
    let second = stamp();
    assert_ne!(first, second);
    // Rotation: another file of the same length replaces the first.
    let next = file(&folder, "next", "3");
    fs::rename(next, &one).unwrap();
    assert_ne!(second, stamp());
    assert_eq!(Stamp::default(), Stamp::of(std::iter::empty::<&Path>()));
}
