//! The parts of the Redis protocol that a minimal client needs.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use crate::Outcome;

/// A connection.
#[derive(Debug)]
pub struct Wire {
    stream: BufReader<TcpStream>,
    out: Vec<u8>,
}

/// A reply, with only the types that are needed.
#[derive(Debug)]
pub enum Reply {
    /// A number.
    Number(i64),
    /// A text, an error, or nothing.
    Text(Vec<u8>),
    /// A list.
    List(Vec<Reply>),
}

impl Wire {
    /// Connects.
    pub fn connect(address: SocketAddr) -> Outcome<Self> {
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(Duration::from_secs(2 * 60)))?;
        Ok(Self {
            stream: BufReader::with_capacity(1 << 16, stream),
            out: Vec::new(),
        })
    }

    /// Queues a command.
    pub fn add(&mut self, words: &[&[u8]]) {
        self.out
            .extend_from_slice(format!("*{}\r\n", words.len()).as_bytes());
        for word in words {
            self.out
                .extend_from_slice(format!("${}\r\n", word.len()).as_bytes());
            self.out.extend_from_slice(word);
            self.out.extend_from_slice(b"\r\n");
        }
    }

    /// Sends all queued commands.
    pub fn flush(&mut self) -> Outcome<()> {
        self.stream.get_mut().write_all(&self.out)?;
        self.out.clear();
        Ok(())
    }

    /// Sends one command and reads its reply.
    pub fn ask(&mut self, words: &[&str]) -> Outcome<Reply> {
        let words: Vec<&[u8]> = words.iter().map(|word| word.as_bytes()).collect();
        self.add(&words);
        self.flush()?;
        self.reply()
    }

    /// Returns the text of the reply to one command. An error reply is an error.
    pub fn text(&mut self, words: &[&str]) -> Outcome<String> {
        match self.ask(words)? {
            Reply::Text(text) => Ok(String::from_utf8_lossy(&text).into_owned()),
            Reply::Number(number) => Ok(number.to_string()),
            Reply::List(_) => Err("a list where a text was awaited".into()),
        }
    }

    /// Reads a reply.
    pub fn reply(&mut self) -> Outcome<Reply> {
        let mut line = String::new();
        self.stream.read_line(&mut line)?;
        let line = line.trim_end();
        let (Some(kind), Some(rest)) = (line.get(..1), line.get(1..)) else {
            return Err("the server closed the connection".into());
        };
        match kind {
            "-" => Err(rest.to_owned().into()),
            ":" => Ok(Reply::Number(rest.parse()?)),
            "$" if rest == "-1" => Ok(Reply::Text(Vec::new())),
            "$" => {
                let mut bytes = vec![0; rest.parse::<usize>()? + 2];
                self.stream.read_exact(&mut bytes)?;
                bytes.truncate(bytes.len() - 2);
                Ok(Reply::Text(bytes))
            }
            "*" => {
                let items = 0..rest.parse::<usize>()?;
                let items = items.map(|_| self.reply());
                Ok(Reply::List(items.collect::<Outcome<_>>()?))
            }
            _ => Ok(Reply::Text(rest.as_bytes().to_vec())),
        }
    }
}
