//! Parses the parts of an X.509 certificate, of any version, that a verifier needs. Pure.
//!
//! webpki only parses version 3 certificates. This parser checks the structure of the parts it
//! reads, and verifies nothing.

const BOOLEAN: u8 = 0x01;
const INTEGER: u8 = 0x02;
const BIT_STRING: u8 = 0x03;
const OCTET_STRING: u8 = 0x04;
const OBJECT_IDENTIFIER: u8 = 0x06;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;
const SEQUENCE: u8 = 0x30;
const SET: u8 = 0x31;
const VERSION: u8 = 0xa0;
const EXTENSIONS: u8 = 0xa3;

/// The object identifier of a common name, 2.5.4.3.
const COMMON_NAME: &[u8] = &[0x55, 0x04, 0x03];
/// The object identifier of subject alternative names, 2.5.29.17.
const ALTERNATIVE_NAMES: &[u8] = &[0x55, 0x1d, 0x11];

/// The object identifier of basic constraints, 2.5.29.19.
const BASIC_CONSTRAINTS: &[u8] = &[0x55, 0x1d, 0x13];

/// A certificate. Names and algorithms are the contents of their SEQUENCE.
#[derive(Clone, Copy, Debug)]
pub(super) struct Certificate<'a> {
    /// Whether it has no version field, and is therefore version 1.
    pub(super) is_v1: bool,
    /// The signed part.
    pub(super) signed: &'a [u8],
    pub(super) signature_algorithm: &'a [u8],
    pub(super) signature: &'a [u8],
    pub(super) issuer: &'a [u8],
    pub(super) subject: &'a [u8],
    /// The period of validity, in seconds since the epoch, inclusive.
    pub(super) validity: (u64, u64),
    pub(super) key: PublicKey<'a>,
    /// Whether it has subject alternative names.
    pub(super) has_alternative_names: bool,
    /// Whether it may issue others: it has the extension for it or, in version 1, is its own
    /// issuer.
    pub(super) is_authority: bool,
}

/// A public key with its algorithm.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct PublicKey<'a> {
    pub(super) algorithm: &'a [u8],
    pub(super) bits: &'a [u8],
}

impl<'a> PublicKey<'a> {
    /// Parses a `SubjectPublicKeyInfo`, with its outer SEQUENCE.
    pub(super) fn read(der: &'a [u8]) -> Option<Self> {
        Self::of(DerReader(der).expect(SEQUENCE)?)
    }

    /// Parses the contents of a `SubjectPublicKeyInfo`.
    pub(super) fn of(content: &'a [u8]) -> Option<Self> {
        let mut reader = DerReader(content);
        Some(Self {
            algorithm: reader.expect(SEQUENCE)?,
            bits: reader.bits()?,
        })
    }
}

impl<'a> Certificate<'a> {
    /// Parses a certificate in DER.
    pub(super) fn read(der: &'a [u8]) -> Option<Self> {
        let mut outer = DerReader(DerReader(der).expect(SEQUENCE)?);
        let signed = outer.next()?;
        let signature_algorithm = outer.expect(SEQUENCE)?;
        let signature = outer.bits()?;
        let mut inner = DerReader(signed.content_of(SEQUENCE)?);
        let is_v1 = inner.optional(VERSION).is_none();
        inner.expect(INTEGER)?;
        inner.expect(SEQUENCE)?;
        let issuer = inner.expect(SEQUENCE)?;
        let validity = validity(inner.expect(SEQUENCE)?)?;
        let subject = inner.expect(SEQUENCE)?;
        let key = PublicKey::of(inner.expect(SEQUENCE)?)?;
        let constraints = extension(inner.clone(), BASIC_CONSTRAINTS);
        Some(Self {
            is_v1,
            signed: signed.whole,
            signature_algorithm,
            signature,
            issuer,
            subject,
            validity,
            key,
            has_alternative_names: extension(inner, ALTERNATIVE_NAMES).is_some(),
            is_authority: constraints.is_some_and(is_of_authority) || is_v1 && issuer == subject,
        })
    }

    /// Returns the common names of the subject.
    pub(super) fn common_names(&self) -> impl Iterator<Item = &'a str> + use<'a> {
        let sets = DerReader(self.subject).filter_map(|set| set.content_of(SET));
        sets.flat_map(DerReader).filter_map(|attribute| {
            let mut attribute = DerReader(attribute.content_of(SEQUENCE)?);
            let is_it = attribute.expect(OBJECT_IDENTIFIER)? == COMMON_NAME;
            let text = std::str::from_utf8(attribute.next()?.content).ok()?;
            is_it.then_some(text)
        })
    }
}

/// Finds an extension, after the unique identifiers, and returns its value.
fn extension<'a>(rest: DerReader<'a>, wanted: &[u8]) -> Option<&'a [u8]> {
    let extensions = rest.filter_map(|element| element.content_of(EXTENSIONS));
    let lists = extensions.flat_map(DerReader);
    let each = lists
        .filter_map(|list| list.content_of(SEQUENCE))
        .flat_map(DerReader);
    let mut found = each.filter_map(|extension| {
        let mut extension = DerReader(extension.content_of(SEQUENCE)?);
        let is_it = extension.expect(OBJECT_IDENTIFIER)? == wanted;
        let _is_critical = extension.optional(BOOLEAN);
        let value = extension.expect(OCTET_STRING)?;
        is_it.then_some(value)
    });
    found.next()
}

/// Returns whether basic constraints are those of an authority.
fn is_of_authority(constraints: &[u8]) -> bool {
    let content = DerReader(constraints).expect(SEQUENCE).unwrap_or_default();
    let is_it = DerReader(content).optional(BOOLEAN).unwrap_or_default();
    is_it.iter().any(|byte| *byte != 0)
}

fn validity(content: &[u8]) -> Option<(u64, u64)> {
    let mut reader = DerReader(content);
    Some((time(reader.next()?)?, time(reader.next()?)?))
}

/// Parses `YYMMDDhhmmssZ` or `YYYYMMDDhhmmssZ`. Times before 1970 become 0.
fn time(element: Element<'_>) -> Option<u64> {
    let text = std::str::from_utf8(element.content)
        .ok()?
        .strip_suffix('Z')?;
    let (year, rest) = match element.tag {
        UTC_TIME => {
            let (year, rest) = text.split_at_checked(2)?;
            let year = digits(year)?;
            (if year < 50 { year + 2000 } else { year + 1900 }, rest)
        }
        GENERALIZED_TIME => {
            let (year, rest) = text.split_at_checked(4)?;
            (digits(year)?, rest)
        }
        _ => return None,
    };
    let mut rest = rest;
    let mut two = || {
        let (head, tail) = rest.split_at_checked(2)?;
        rest = tail;
        digits(head)
    };
    let (month, day) = (two()?, two()?);
    let (hour, minute, second) = (two()?, two()?, two()?);
    let days = days_since_epoch(year, month, day)?;
    let seconds = days * 86_400 + hour * 3_600 + minute * 60 + second;
    Some(u64::try_from(seconds).unwrap_or(0))
}

fn digits(text: &str) -> Option<i64> {
    let is_number = text.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then(|| text.parse().ok())?
}

/// Counts days in the Gregorian calendar, with years that begin in March.
fn days_since_epoch(year: i64, month: i64, day: i64) -> Option<i64> {
    let is_date = (1..=12).contains(&month) && (1..=31).contains(&day);
    let (year, month) = if month > 2 {
        (year, month - 3)
    } else {
        (year - 1, month + 9)
    };
    let leap_days = year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400);
    let of_year = (153 * month + 2) / 5 + day - 1;
    is_date.then_some(year * 365 + leap_days + of_year - 719_468)
}

/// An element of DER.
#[derive(Clone, Copy, Debug)]
struct Element<'a> {
    tag: u8,
    content: &'a [u8],
    whole: &'a [u8],
}

impl<'a> Element<'a> {
    fn content_of(self, tag: u8) -> Option<&'a [u8]> {
        (self.tag == tag).then_some(self.content)
    }
}

/// Iterates over elements, up to the first malformed one.
#[derive(Clone, Debug)]
struct DerReader<'a>(&'a [u8]);

impl<'a> DerReader<'a> {
    fn expect(&mut self, tag: u8) -> Option<&'a [u8]> {
        self.next()?.content_of(tag)
    }

    fn optional(&mut self, tag: u8) -> Option<&'a [u8]> {
        let is_there = self.0.first() == Some(&tag);
        if is_there { self.expect(tag) } else { None }
    }

    /// Parses a bit string of whole bytes.
    fn bits(&mut self) -> Option<&'a [u8]> {
        match self.expect(BIT_STRING)?.split_first()? {
            (0, bytes) => Some(bytes),
            _ => None,
        }
    }
}

impl<'a> Iterator for DerReader<'a> {
    type Item = Element<'a>;

    fn next(&mut self) -> Option<Element<'a>> {
        let (&tag, rest) = self.0.split_first()?;
        let (&first, rest) = rest.split_first()?;
        let (length, rest) = match first {
            0..=0x7f => (usize::from(first), rest),
            // Certificates are smaller than 16 MiB.
            0x81..=0x83 => {
                let (length, rest) = rest.split_at_checked(usize::from(first & 0x7f))?;
                let add = |sum: usize, byte: &u8| sum << 8 | usize::from(*byte);
                (length.iter().fold(0, add), rest)
            }
            _ => return None,
        };
        let (content, rest) = rest.split_at_checked(length)?;
        let whole = self.0.get(..self.0.len() - rest.len())?;
        self.0 = rest;
        Some(Element {
            tag,
            content,
            whole,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, KeyPair, date_time_ymd};

    fn made(names: &[&str]) -> Vec<u8> {
        let names: Vec<String> = names.iter().map(ToString::to_string).collect();
        let mut parameters = CertificateParams::new(names).unwrap();
        parameters.not_before = date_time_ymd(2020, 2, 29);
        parameters.not_after = date_time_ymd(2050, 1, 1);
        parameters
            .distinguished_name
            .push(DnType::CommonName, "redis.internal");
        let key = KeyPair::generate().unwrap();
        parameters.self_signed(&key).unwrap().der().to_vec()
    }

    #[test]
    fn every_part_is_found() {
        let der = made(&["localhost"]);
        let certificate = Certificate::read(&der).unwrap();
        assert!(!certificate.is_v1 && certificate.has_alternative_names);
        assert_eq!(certificate.issuer, certificate.subject);
        // 2050 is the first year that is written with four digits.
        assert_eq!(certificate.validity, (1_582_934_400, 2_524_608_000));
        let names: Vec<_> = certificate.common_names().collect();
        assert!(names.contains(&"redis.internal"), "{names:?}");
        assert_eq!(certificate.key.bits.len(), 65);
        assert!(!Certificate::read(&made(&[])).unwrap().has_alternative_names);
    }

    #[test]
    fn basic_constraints_mark_an_authority() {
        for (kind, expected) in [
            (IsCa::NoCa, false),
            (IsCa::ExplicitNoCa, false),
            (IsCa::Ca(BasicConstraints::Unconstrained), true),
            (IsCa::Ca(BasicConstraints::Constrained(0)), true),
        ] {
            let mut parameters = CertificateParams::new(["localhost".to_owned()]).unwrap();
            parameters.is_ca = kind;
            let key = KeyPair::generate().unwrap();
            let made = parameters.self_signed(&key).unwrap();
            let read = Certificate::read(made.der()).unwrap();
            assert_eq!(read.is_authority, expected, "{kind:?}");
        }
    }

    #[test]
    fn days_are_counted_over_leap_years() {
        let expected = [
            ((1970, 1, 1), Some(0)),
            ((2000, 3, 1), Some(11_017)),
            ((2024, 2, 29), Some(19_782)),
            ((2024, 13, 1), None),
        ];
        for ((year, month, day), days) in expected {
            assert_eq!(
                days_since_epoch(year, month, day),
                days,
                "{year}-{month}-{day}"
            );
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_without_a_panic(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
            let _ = Certificate::read(&bytes).map(|read| read.common_names().count());
        }

        #[test]
        fn a_damaged_certificate_is_read_without_a_panic(at in 0_usize..400, byte in any::<u8>()) {
            let mut der = made(&["localhost"]);
            if let Some(place) = der.get_mut(at) {
                *place = byte;
            }
            let _ = Certificate::read(&der).map(|read| read.common_names().count());
        }
    }
}
