//! A minimal HTTP client with which tests see every byte.

use std::io::{self, BufRead as _, BufReader, Read, Write};
use std::net::{Ipv4Addr, TcpStream};

use super::wait::LONG;

/// A response.
#[derive(Debug)]
pub struct Response {
    /// The status, such as 200.
    pub status: u16,
    /// The status line and the headers.
    pub head: String,
    /// The body.
    pub body: Vec<u8>,
}

impl Response {
    /// Returns the response with this head and body.
    fn new(head: String, body: Vec<u8>) -> io::Result<Self> {
        let status = head.split(' ').nth(1);
        let status = status.and_then(|status| status.parse().ok());
        Ok(Self {
            status: status.ok_or(io::ErrorKind::InvalidData)?,
            head,
            body,
        })
    }

    /// Returns the body as text.
    pub fn text(&self) -> String {
        String::from_utf8(self.body.clone()).unwrap()
    }
}

/// Sends a request over a new connection and reads the whole response.
pub fn send(port: u16, method: &str, path: &str, headers: &str) -> io::Result<Response> {
    exchange(
        port,
        &format!(
            "{method} {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n{headers}\r\n"
        ),
    )
}

/// Sends a request with a JSON body to a server that may keep the connection open.
pub fn send_json(port: u16, method: &str, path: &str, body: &str) -> io::Result<Response> {
    let length = body.len();
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
    stream.set_read_timeout(Some(LONG))?;
    let request = format!(
        "{method} {path} HTTP/1.1\r\nHost: localhost\r\n\
         Content-Type: application/json\r\nContent-Length: {length}\r\n\r\n{body}"
    );
    stream.write_all(request.as_bytes())?;
    let mut stream = BufReader::new(stream);
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        if stream.read_line(&mut head)? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
    let lines = head.to_ascii_lowercase();
    let length = lines
        .lines()
        .find_map(|line| line.strip_prefix("content-length:"));
    let length = length.and_then(|length| length.trim().parse().ok());
    let mut body = vec![0; length.ok_or(io::ErrorKind::InvalidData)?];
    stream.read_exact(&mut body)?;
    Response::new(head, body)
}

/// Sends these bytes and reads the whole response.
fn exchange(port: u16, request: &str) -> io::Result<Response> {
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
    stream.set_read_timeout(Some(LONG))?;
    stream.write_all(request.as_bytes())?;
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes)?;
    let end = bytes.windows(4).position(|four| four == b"\r\n\r\n");
    let body = bytes.split_off(end.ok_or(io::ErrorKind::UnexpectedEof)? + 4);
    let head = String::from_utf8(bytes).unwrap();
    Response::new(head, body)
}

/// Sends a GET request without further headers.
pub fn get(port: u16, path: &str) -> io::Result<Response> {
    send(port, "GET", path, "")
}

/// Sends a GET request with HTTP 1.0, so that the response is not chunked.
pub fn get_unchunked(port: u16, path: &str) -> io::Result<Response> {
    exchange(port, &format!("GET {path} HTTP/1.0\r\n\r\n"))
}
