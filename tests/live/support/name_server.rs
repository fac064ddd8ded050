//! A name server with SRV records for one name.

use std::io::{Read, Write};
use std::net::{IpAddr, SocketAddr, TcpListener, UdpSocket};
use std::sync::{Arc, Mutex};
use std::thread;

use simple_dns::rdata::{RData, SRV};
use simple_dns::{CLASS, Name, Packet, PacketFlag, RCODE, ResourceRecord};

/// Maximum size of a response over UDP.
const DATAGRAM_MAX: usize = 512;

/// The records of the name, and how the server responds.
#[derive(Debug, Default)]
struct Zone {
    name: String,
    records: Vec<(String, u16)>,
    fails: bool,
    over_tcp: usize,
}

/// A name server. Its threads end with the process.
#[derive(Debug)]
pub struct NameServer(Arc<Mutex<Zone>>);

impl NameServer {
    /// Starts a server on port 53 of an address; `None` without the permission for that.
    pub fn start(at: &str, name: &str) -> Option<Self> {
        let at = SocketAddr::new(at.parse::<IpAddr>().unwrap(), 53);
        let socket = UdpSocket::bind(at).ok()?;
        let listener = TcpListener::bind(at).ok()?;
        let zone = Zone {
            name: name.to_owned(),
            ..Zone::default()
        };
        let zone = Arc::new(Mutex::new(zone));
        let over_udp = Arc::clone(&zone);
        thread::spawn(move || {
            let mut query = [0; DATAGRAM_MAX];
            while let Ok((length, client)) = socket.recv_from(&mut query) {
                if let Some(mut response) = respond(&query[..length], &over_udp) {
                    if response.len() > DATAGRAM_MAX {
                        response.truncate(DATAGRAM_MAX);
                        response[2] |= 0b10;
                    }
                    let _ = socket.send_to(&response, client);
                }
            }
        });
        let over_tcp = Arc::clone(&zone);
        thread::spawn(move || {
            for mut stream in listener.incoming().flatten() {
                let mut length = [0; 2];
                stream.read_exact(&mut length).unwrap();
                let mut query = vec![0; u16::from_be_bytes(length).into()];
                stream.read_exact(&mut query).unwrap();
                over_tcp.lock().unwrap().over_tcp += 1;
                if let Some(response) = respond(&query, &over_tcp) {
                    let length = u16::try_from(response.len()).unwrap().to_be_bytes();
                    let _ = stream.write_all(&[&length[..], &response].concat());
                }
            }
        });
        Some(Self(zone))
    }

    /// Replaces the records: host names and ports.
    pub fn set(&self, records: &[(&str, u16)]) {
        let records = records
            .iter()
            .map(|(host, port)| ((*host).to_owned(), *port));
        self.0.lock().unwrap().records = records.collect();
    }

    /// Makes the server fail, or work again.
    pub fn fail(&self, fails: bool) {
        self.0.lock().unwrap().fails = fails;
    }

    /// Returns the number of queries over TCP.
    pub fn over_tcp(&self) -> usize {
        self.0.lock().unwrap().over_tcp
    }
}

fn respond(query: &[u8], zone: &Mutex<Zone>) -> Option<Vec<u8>> {
    let query = Packet::parse(query).ok()?;
    let zone = zone.lock().unwrap();
    let mut response = Packet::new_reply(query.id());
    response.set_flags(PacketFlag::RECURSION_DESIRED | PacketFlag::RECURSION_AVAILABLE);
    let name = query.questions.first()?.qname.clone();
    if zone.fails {
        *response.rcode_mut() = RCODE::ServerFailure;
    } else if name.to_string() == zone.name {
        for (host, port) in &zone.records {
            let data = RData::SRV(SRV {
                priority: 10,
                weight: 5,
                port: *port,
                target: Name::new(host).unwrap(),
            });
            let record = ResourceRecord::new(name.clone(), CLASS::IN, 1, data);
            response.answers.push(record);
        }
    } else {
        *response.rcode_mut() = RCODE::NameError;
    }
    response.questions.clone_from(&query.questions);
    response.build_bytes_vec().ok()
}
