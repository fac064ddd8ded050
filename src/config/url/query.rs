//! Parses the query of a URL, in the spellings of many client libraries. Pure.

use super::{decode, parse_database, same};
use crate::config::problem::Invalid;
use crate::config::secret::Secret;
use crate::config::tls::server_name;

/// The meaning of a parameter for an exporter.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Parameter {
    Database,
    User,
    Password,
    /// Whether to use TLS.
    Tls,
    /// Accepts any certificate if the value is true.
    SkipVerify,
    /// Accepts any certificate if the value is, for example, `none` or `false`.
    Verify,
    ServerName,
    /// Ignored. Contains the equivalent option, if there is one.
    Ignored(&'static str),
}

use Parameter::{Database, Ignored, Password, ServerName, SkipVerify, Tls, User, Verify};

const TIMEOUT: &str = "poll.timeout";
const CA: &str = "tls.ca_file";
const CERTIFICATE: &str = "tls.cert_file and tls.key_file";

/// Parameters of redis-py, Celery, ioredis, node-redis, go-redis, Lettuce, Jedis, redis-rs,
/// redis-rb, phpredis, Predis, Symfony, redis-plus-plus and `StackExchange.Redis`, in lower case
/// without `_`, `-`, `.` and brackets.
#[rustfmt::skip]
const PARAMETERS: &[(&str, Parameter)] = &[
    ("db", Database), ("database", Database), ("dbindex", Database), ("defaultdatabase", Database),
    ("user", User), ("username", User), ("authuser", User), ("auth0", User),
    ("pass", Password), ("password", Password), ("auth", Password), ("pwd", Password),
    ("authpass", Password), ("authpassword", Password), ("auth1", Password),
    ("tls", Tls), ("ssl", Tls), ("usetls", Tls), ("usessl", Tls),
    ("insecure", SkipVerify), ("skipverify", SkipVerify), ("insecureskipverify", SkipVerify),
    ("tlsskipverify", SkipVerify), ("tlsinsecure", SkipVerify), ("sslinsecure", SkipVerify),
    ("tlsinsecureskipverify", SkipVerify), ("skiptlsverify", SkipVerify),
    ("sslcertreqs", Verify), ("certreqs", Verify), ("tlscertreqs", Verify), ("verifypeer", Verify),
    ("sslverifypeer", Verify), ("sslverify", Verify), ("tlsverify", Verify), ("verifymode", Verify),
    ("sslverifymode", Verify), ("sslparamsverifymode", Verify), ("rejectunauthorized", Verify),
    ("tlsrejectunauthorized", Verify), ("sslrejectunauthorized", Verify),
    ("servername", ServerName), ("tlsservername", ServerName), ("sslhost", ServerName),
    ("sslservername", ServerName), ("sni", ServerName),
    ("timeout", Ignored(TIMEOUT)), ("sockettimeout", Ignored(TIMEOUT)), ("dialtimeout", Ignored(TIMEOUT)),
    ("socketconnecttimeout", Ignored(TIMEOUT)), ("connecttimeout", Ignored(TIMEOUT)),
    ("connectiontimeout", Ignored(TIMEOUT)), ("readtimeout", Ignored(TIMEOUT)),
    ("writetimeout", Ignored(TIMEOUT)), ("readwritetimeout", Ignored(TIMEOUT)),
    ("commandtimeout", Ignored(TIMEOUT)), ("synctimeout", Ignored(TIMEOUT)),
    ("asynctimeout", Ignored(TIMEOUT)), ("responsetimeout", Ignored(TIMEOUT)),
    ("sslcacerts", Ignored(CA)), ("sslcapath", Ignored(CA)), ("sslcadata", Ignored(CA)),
    ("cacert", Ignored(CA)), ("cafile", Ignored(CA)), ("tlscafile", Ignored(CA)), ("sslcafile", Ignored(CA)),
    ("sslcertfile", Ignored(CERTIFICATE)), ("sslkeyfile", Ignored(CERTIFICATE)),
    ("sslkeyfilepassword", Ignored(CERTIFICATE)), ("sslpassword", Ignored(CERTIFICATE)),
    ("sslcheckhostname", Ignored("tls.server_name")), ("verifypeername", Ignored("tls.server_name")),
    ("sslverifypeername", Ignored("tls.server_name")),
    ("family", Ignored("")), ("protocol", Ignored("")), ("resp", Ignored("")), ("respversion", Ignored("")),
    ("sslminversion", Ignored("")), ("sslciphers", Ignored("")), ("sslprotocols", Ignored("")),
    ("sslvalidateocsp", Ignored("")), ("checkcertificaterevocation", Ignored("")),
    ("clientname", Ignored("")), ("connectionname", Ignored("")), ("name", Ignored("")),
    ("libraryname", Ignored("")), ("libraryversion", Ignored("")), ("libname", Ignored("")),
    ("libversion", Ignored("")), ("retryontimeout", Ignored("")), ("retryonerror", Ignored("")),
    ("retryinterval", Ignored("")), ("retry", Ignored("")), ("reconnect", Ignored("")),
    ("healthcheckinterval", Ignored("")), ("maxconnections", Ignored("")), ("decoderesponses", Ignored("")),
    ("encoding", Ignored("")), ("encodingerrors", Ignored("")), ("socketreadsize", Ignored("")),
    ("socketkeepalive", Ignored("")), ("tcpkeepalive", Ignored("")), ("keepalive", Ignored("")),
    ("nodelay", Ignored("")), ("singleconnectionclient", Ignored("")), ("idle", Ignored("")),
    ("poolsize", Ignored("")), ("poolmaxsize", Ignored("")), ("poolfifo", Ignored("")),
    ("pooltimeout", Ignored("")), ("minidleconns", Ignored("")), ("maxidleconns", Ignored("")),
    ("maxidle", Ignored("")), ("maxactive", Ignored("")), ("maxactiveconns", Ignored("")),
    ("connmaxidletime", Ignored("")), ("connmaxlifetime", Ignored("")), ("maxconnage", Ignored("")),
    ("maxretries", Ignored("")), ("minretrybackoff", Ignored("")), ("maxretrybackoff", Ignored("")),
    ("idletimeout", Ignored("")), ("idlecheckfrequency", Ignored("")), ("maxretriesperrequest", Ignored("")),
    ("enablereadycheck", Ignored("")), ("enableofflinequeue", Ignored("")), ("lazyconnect", Ignored("")),
    ("lazy", Ignored("")), ("keyprefix", Ignored("")), ("prefix", Ignored("")), ("namespace", Ignored("")),
    ("persistent", Ignored("")), ("persistentid", Ignored("")), ("weight", Ignored("")), ("alias", Ignored("")),
    ("virtualhost", Ignored("")), ("class", Ignored("")), ("serializer", Ignored("")),
    ("suppress", Ignored("")), ("role", Ignored("")), ("channel", Ignored("")), ("readonly", Ignored("")),
    ("mastername", Ignored("")), ("master", Ignored("")), ("sentinelmasterid", Ignored("")),
    ("servicename", Ignored("")), ("rediscluster", Ignored("")), ("redissentinel", Ignored("")),
    ("abortconnect", Ignored("")), ("abortonconnectfail", Ignored("")), ("connectretry", Ignored("")),
    ("allowadmin", Ignored("")), ("resolvedns", Ignored("")), ("configchannel", Ignored("")),
    ("configcheckseconds", Ignored("")), ("tiebreaker", Ignored("")), ("writebuffer", Ignored("")),
    ("defaultversion", Ignored("")), ("version", Ignored("")), ("proxy", Ignored("")),
    ("highprioritysocketthreads", Ignored("")), ("preserveasyncorder", Ignored("")), ("tunnel", Ignored("")),
    ("setclientlibrary", Ignored("")), ("heartbeatinterval", Ignored("")), ("poolsize", Ignored("")),
    ("preheat", Ignored("")), ("asyncpipeline", Ignored("")), ("idlecheck", Ignored("")),
];

/// The settings from the query of a URL.
#[derive(Default)]
pub(super) struct UrlQuery {
    pub(super) database: Option<u32>,
    pub(super) username: Option<String>,
    pub(super) password: Option<Secret>,
    pub(super) tls: Option<bool>,
    pub(super) skip_verify: bool,
    pub(super) server_name: Option<String>,
    /// Names as they are written. They only differ from known names in case and separators.
    ignored: Vec<String>,
    /// Options that are equivalent to ignored parameters.
    options: Vec<&'static str>,
    unknown: usize,
}

/// Parses `name=value` pairs that are joined by `&`.
pub(super) fn parse(text: &str) -> Result<UrlQuery, Invalid> {
    let mut query = UrlQuery::default();
    for pair in text.split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        query.take(name, &decode(&value.replace('+', " "))?)?;
    }
    Ok(query)
}

/// Returns whether the pair starts with the name of a known parameter.
pub(super) fn is_known(pair: &str) -> bool {
    pair.split_once('=')
        .is_some_and(|(name, _)| meaning(name).is_some())
}

fn meaning(name: &str) -> Option<&'static (&'static str, Parameter)> {
    let plain = |letter: &char| !['_', '-', '.', '[', ']'].contains(letter);
    let name: String = name.chars().filter(plain).collect();
    let name = name.to_ascii_lowercase();
    PARAMETERS.iter().find(|(known, _)| *known == name)
}

impl UrlQuery {
    /// Applies one parameter with its decoded value. An empty value is ignored.
    pub(super) fn take(&mut self, name: &str, value: &str) -> Result<(), Invalid> {
        let Some((_, meaning)) = meaning(name) else {
            self.unknown += 1;
            return Ok(());
        };
        if value.is_empty() {
            return Ok(());
        }
        match *meaning {
            Database => {
                let database = parse_database(value)?;
                self.database = same(self.database, Some(database), "two databases")?;
            }
            User => {
                let user = Some(value.to_owned());
                self.username = same(self.username.take(), user, "two users")?;
            }
            Password => {
                let password = Some(Secret::new(value));
                self.password = same(self.password.take(), password, "two passwords")?;
            }
            Tls => self.tls = Some(!is_off(value)),
            SkipVerify => self.skip_verify |= !is_off(value),
            Verify => self.skip_verify |= is_off(value),
            ServerName if server_name(value).is_ok() => self.server_name = Some(value.to_owned()),
            ServerName => self.ignored.push(name.to_owned()),
            Ignored(option) => {
                self.ignored.push(name.to_owned());
                if !option.is_empty() && !self.options.contains(&option) {
                    self.options.push(option);
                }
            }
        }
        Ok(())
    }

    /// Returns notes on ignored parameters. Only known names are repeated.
    pub(super) fn notes(&self) -> Vec<String> {
        let mut notes = Vec::new();
        if !self.ignored.is_empty() {
            let mut note = format!(
                "has parameters that are ignored: {}",
                self.ignored.join(", ")
            );
            if !self.options.is_empty() {
                note.push_str("; use ");
                note.push_str(&self.options.join(", "));
            }
            notes.push(note);
        }
        match self.unknown {
            0 => {}
            1 => notes.push("has an unknown parameter, which is ignored".to_owned()),
            count => notes.push(format!("has {count} unknown parameters, which are ignored")),
        }
        notes
    }
}

fn is_off(value: &str) -> bool {
    let value = value.to_ascii_lowercase();
    [
        "none",
        "cert_none",
        "verify_none",
        "false",
        "0",
        "no",
        "off",
        "f",
    ]
    .contains(&value.as_str())
}
