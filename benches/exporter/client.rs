//! A minimal HTTP client with keep-alive, the same for all servers.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use crate::Outcome;

/// The encoding that a scrape requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encoding {
    /// gzip, which Prometheus requests.
    Gzip,
    /// Plain text.
    Identity,
}

impl Encoding {
    /// Returns the value of `Accept-Encoding`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Gzip => "gzip",
            Self::Identity => "identity",
        }
    }
}

/// An open connection.
#[derive(Debug)]
pub struct Client {
    reader: BufReader<TcpStream>,
    request: String,
    line: String,
    /// The body of the last response.
    pub body: Vec<u8>,
}

impl Client {
    /// Connects for scrapes of `/metrics`.
    pub fn connect(address: SocketAddr, encoding: Encoding) -> Outcome<Self> {
        Self::connect_to(address, "/metrics", encoding)
    }

    /// Connects for reads of a path.
    pub fn connect_to(address: SocketAddr, path: &str, encoding: Encoding) -> Outcome<Self> {
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(Duration::from_secs(60)))?;
        let request = format!(
            "GET {path} HTTP/1.1\r\nHost: {address}\r\nAccept: text/plain\r\n\
             Accept-Encoding: {}\r\n\r\n",
            encoding.name()
        );
        Ok(Self {
            reader: BufReader::with_capacity(64 * 1024, stream),
            request,
            line: String::new(),
            body: Vec::new(),
        })
    }

    /// Scrapes once. Returns the time from sending the request to the last byte of the response.
    pub fn scrape(&mut self) -> Outcome<Duration> {
        let started = Instant::now();
        self.reader.get_mut().write_all(self.request.as_bytes())?;
        let length = self.read_head()?;
        self.body.clear();
        match length {
            Some(length) => self.read_bytes(length)?,
            None => self.read_chunks()?,
        }
        Ok(started.elapsed())
    }

    /// Returns the text of the last response.
    pub fn text(&self) -> std::borrow::Cow<'_, str> {
        String::from_utf8_lossy(&self.body)
    }

    fn read_line(&mut self) -> Outcome<&str> {
        self.line.clear();
        if self.reader.read_line(&mut self.line)? == 0 {
            return Err("the server hung up".into());
        }
        Ok(self.line.trim_end())
    }

    /// Returns the length of the body, or `None` if it is chunked.
    fn read_head(&mut self) -> Outcome<Option<usize>> {
        let status = self.read_line()?;
        if !status.contains(" 200 ") {
            return Err(format!("the server answered {status}").into());
        }
        let mut length = None;
        loop {
            let line = self.read_line()?;
            if line.is_empty() {
                return Ok(length);
            }
            if let Some((name, value)) = line.split_once(':')
                && name.eq_ignore_ascii_case("content-length")
            {
                length = Some(value.trim().parse()?);
            }
        }
    }

    fn read_bytes(&mut self, length: usize) -> Outcome<()> {
        let before = self.body.len();
        self.body.resize(before + length, 0);
        if let Some(room) = self.body.get_mut(before..) {
            self.reader.read_exact(room)?;
        }
        Ok(())
    }

    fn read_chunks(&mut self) -> Outcome<()> {
        loop {
            let length = usize::from_str_radix(self.read_line()?, 16)?;
            self.read_bytes(length)?;
            self.read_line()?;
            if length == 0 {
                return Ok(());
            }
        }
    }
}
