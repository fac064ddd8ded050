//! Messages of DNS: queries for SRV records, and the responses to them. Pure.

use simple_dns::header_buffer::{self, has_flags};
use simple_dns::rdata::RData;
use simple_dns::{CLASS, Name, Packet, PacketFlag, QTYPE, Question, RCODE, TYPE};

use crate::topology::HostPort;

/// Maximum number of records that are read of a response.
const RECORDS_MAX: usize = 4_096;

/// A response to a query.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DnsResponse {
    /// The servers, and the number of records without a usable host name and port.
    Servers(Vec<HostPort>, usize),
    /// The name does not exist, or has no such record.
    Nothing,
    /// The response was cut, and is complete over TCP.
    Truncated,
    /// The name server failed, with the name of its error.
    Failed(String),
    /// The message does not belong to the query, or is malformed.
    Foreign,
}

/// Encodes a query for the SRV records of a name; `None` if it is not a valid name.
#[must_use]
pub fn query(id: u16, name: &str) -> Option<Vec<u8>> {
    let mut packet = Packet::new_query(id);
    packet.set_flags(PacketFlag::RECURSION_DESIRED);
    packet.questions.push(question(name)?);
    packet.build_bytes_vec().ok()
}

fn question(name: &str) -> Option<Question<'_>> {
    let name = Name::new(name).ok()?;
    Some(Question::new(
        name,
        QTYPE::TYPE(TYPE::SRV),
        CLASS::IN.into(),
        false,
    ))
}

/// Reads the response to a query with this id and name. The servers are sorted.
#[must_use]
pub fn response(bytes: &[u8], id: u16, name: &str) -> DnsResponse {
    // A message that was cut may end within a record.
    let is_cut = has_flags(bytes, PacketFlag::RESPONSE | PacketFlag::TRUNCATION);
    if is_cut.unwrap_or(false) && header_buffer::id(bytes) == Ok(id) {
        return DnsResponse::Truncated;
    }
    let (Ok(packet), Some(asked)) = (Packet::parse(bytes), question(name)) else {
        return DnsResponse::Foreign;
    };
    let is_ours = |question: &Question<'_>| {
        let text = |name: &Name<'_>| name.to_string().to_ascii_lowercase();
        question.qtype == asked.qtype && text(&question.qname) == text(&asked.qname)
    };
    let is_response = packet.has_flags(PacketFlag::RESPONSE) && packet.id() == id;
    if !is_response || !packet.questions.iter().all(is_ours) {
        return DnsResponse::Foreign;
    }
    match packet.rcode() {
        RCODE::NoError => servers(&packet),
        RCODE::NameError => DnsResponse::Nothing,
        code => DnsResponse::Failed(format!("{code:?}")),
    }
}

fn servers(packet: &Packet<'_>) -> DnsResponse {
    let (mut servers, mut refused, mut has_records) = (Vec::new(), 0, false);
    for record in packet.answers.iter().take(RECORDS_MAX) {
        let RData::SRV(record) = &record.rdata else {
            continue;
        };
        has_records = true;
        let host = record.target.to_string();
        let host = host.trim_end_matches('.');
        // The root as the target means that there is no server.
        match HostPort::new(host, record.port) {
            Some(server) => servers.push(server),
            None if host.is_empty() => {}
            None => refused += 1,
        }
    }
    if !has_records {
        return DnsResponse::Nothing;
    }
    servers.sort_unstable();
    servers.dedup();
    DnsResponse::Servers(servers, refused)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use simple_dns::ResourceRecord;
    use simple_dns::rdata::SRV;

    const NAME: &str = "_redis._tcp.shop.test";

    /// Returns a response with these targets and ports.
    fn reply(records: &[(&str, u16)], change: impl FnOnce(&mut Packet<'_>)) -> Vec<u8> {
        let mut packet = Packet::new_reply(7);
        packet.questions.push(question(NAME).unwrap());
        for (target, port) in records {
            let data = RData::SRV(SRV {
                priority: 1,
                weight: 1,
                port: *port,
                target: Name::new_unchecked(target),
            });
            let name = Name::new(NAME).unwrap();
            let record = ResourceRecord::new(name, CLASS::IN, 30, data);
            packet.answers.push(record);
        }
        change(&mut packet);
        packet.build_bytes_vec_compressed().unwrap()
    }

    fn servers(list: &[&str], refused: usize) -> DnsResponse {
        let parse = |text: &&str| HostPort::parse(text).unwrap();
        DnsResponse::Servers(list.iter().map(parse).collect(), refused)
    }

    #[test]
    fn records_become_servers() {
        let records = [
            ("b.test", 2),
            ("a.test", 1),
            ("b.test", 2),
            ("a/b", 3),
            ("c.test", 0),
        ];
        let found = response(&reply(&records, |_| {}), 7, NAME);
        assert_eq!(found, servers(&["a.test:1", "b.test:2"], 2));
        let none = response(&reply(&[("", 1)], |_| {}), 7, NAME);
        assert_eq!(none, servers(&[], 0));
    }

    #[test]
    fn query_is_no_response_to_itself() {
        let bytes = query(7, NAME).unwrap();
        assert_eq!(response(&bytes, 7, NAME), DnsResponse::Foreign);
        assert_eq!(query(7, &"a".repeat(64)), None);
    }

    #[test]
    fn other_responses_are_told_apart() {
        let records = [("a.test", 1)];
        let of = |change: fn(&mut Packet<'_>)| response(&reply(&records, change), 7, NAME);
        assert_eq!(of(|packet| packet.set_id(8)), DnsResponse::Foreign);
        let other = |packet: &mut Packet<'_>| packet.questions = vec![question("b.test").unwrap()];
        assert_eq!(of(other), DnsResponse::Foreign);
        let cut = |packet: &mut Packet<'_>| packet.set_flags(PacketFlag::TRUNCATION);
        assert_eq!(of(cut), DnsResponse::Truncated);
        let unknown = |packet: &mut Packet<'_>| *packet.rcode_mut() = RCODE::NameError;
        assert_eq!(of(unknown), DnsResponse::Nothing);
        let failed = |packet: &mut Packet<'_>| *packet.rcode_mut() = RCODE::ServerFailure;
        assert_eq!(of(failed), DnsResponse::Failed("ServerFailure".to_owned()));
        assert_eq!(response(&reply(&[], |_| {}), 7, NAME), DnsResponse::Nothing);
    }

    proptest! {
        #[test]
        fn any_bytes_are_read(bytes in prop::collection::vec(any::<u8>(), 0..200), at in 0_usize..60, byte: u8) {
            let _ = response(&bytes, 7, NAME);
            let mut bytes = reply(&[("a.test", 1), ("b.test", 2)], |_| {});
            bytes[at] = byte;
            let _ = response(&bytes, 7, NAME);
        }
    }
}
