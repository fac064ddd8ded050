//! An HTTP server with one list of targets, in the format of Prometheus's `http_sd`.

use std::io::{BufRead, BufReader, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

/// A server. Dropping it ends it.
pub struct ListServer {
    /// Its port on 127.0.0.1.
    pub port: u16,
    response: Arc<Mutex<String>>,
    requests: Arc<Mutex<Vec<String>>>,
    done: Arc<AtomicBool>,
}

impl ListServer {
    /// Starts a server with this list.
    pub fn start(list: &str) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let started = Self {
            port: listener.local_addr().unwrap().port(),
            response: Arc::default(),
            requests: Arc::default(),
            done: Arc::default(),
        };
        started.respond("200 OK", "", list);
        let (response, requests) = (Arc::clone(&started.response), Arc::clone(&started.requests));
        let done = Arc::clone(&started.done);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                if done.load(Ordering::Relaxed) {
                    return;
                }
                let text = response.lock().unwrap().clone();
                if let Some(request) = serve(stream, &text) {
                    requests.lock().unwrap().push(request);
                }
            }
        });
        started
    }

    /// Changes the response: the status, headers with line ends, and the body.
    pub fn respond(&self, status: &str, headers: &str, body: &str) {
        let length = body.len();
        *self.response.lock().unwrap() = format!(
            "HTTP/1.1 {status}\r\nContent-Length: {length}\r\nConnection: close\r\n{headers}\r\n{body}"
        );
    }

    /// Returns all requests, with their headers.
    pub fn requests(&self) -> Vec<String> {
        self.requests.lock().unwrap().clone()
    }

    /// Returns the URL of the list.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}/list", self.port)
    }
}

impl Drop for ListServer {
    fn drop(&mut self) {
        self.done.store(true, Ordering::Relaxed);
        drop(TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)));
    }
}

fn serve(mut stream: TcpStream, response: &str) -> Option<String> {
    let mut reader = BufReader::new(stream.try_clone().ok()?);
    let mut request = String::new();
    while !request.ends_with("\r\n\r\n") {
        if reader.read_line(&mut request).ok()? == 0 {
            return None;
        }
    }
    stream.write_all(response.as_bytes()).ok()?;
    Some(request)
}
