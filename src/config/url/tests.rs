//! URLs in the forms that people write.

use std::path::Path;

use proptest::prelude::*;

use super::*;

fn tcp(host: &str, port: u16, tls: bool) -> Address {
    Address::Tcp {
        host: host.to_owned(),
        port,
        tls,
    }
}

fn password(url: &Url) -> Option<&str> {
    url.password.as_ref().map(Secret::expose)
}

#[test]
#[rustfmt::skip]
fn every_form_of_address_is_read() {
    for (text, shown, database) in [
        ("redis://h", "redis://h:6379", None),
        ("redis://h:7000/3", "redis://h:7000", Some(3)),
        ("redis://h/?db=4", "redis://h:6379", Some(4)),
        ("redis://h/4?db=4", "redis://h:6379", Some(4)),
        ("redis://h?db=1&db=1", "redis://h:6379", Some(1)),
        ("redis://h?db=", "redis://h:6379", None),
        ("redis://h:1/2/", "redis://h:1", Some(2)),
        ("redis://h:1//2", "redis://h:1", Some(2)),
        ("redis://h:1//", "redis://h:1", None),
        ("REDIS://h", "redis://h:6379", None),
        ("tcp://h:1", "redis://h:1", None),
        ("tls://h:1", "rediss://h:1", None),
        ("redis+ssl://h:1", "rediss://h:1", None),
        ("//h:1", "redis://h:1", None),
        ("rediss://h.example:1", "rediss://h.example:1", None),
        ("valkey://h_1", "redis://h_1:6379", None),
        ("valkeys://h", "rediss://h:6379", None),
        ("redis://h:1?ssl=true", "rediss://h:1", None),
        ("h", "redis://h:6379", None),
        ("\u{feff}h:1\r\n", "redis://h:1", None),
        ("\"redis://h:1/2\"\n", "redis://h:1", Some(2)),
        ("'h'", "redis://h:6379", None),
        ("10.0.0.1:7000", "redis://10.0.0.1:7000", None),
        ("h:7000/2", "redis://h:7000", Some(2)),
        ("redis://[::1]:7000", "redis://[::1]:7000", None),
        ("redis://[2001:DB8::1]", "redis://[2001:db8::1]:6379", None),
        ("redis://[fe80::1%eth0]:1", "redis://[fe80::1%eth0]:1", None),
        ("redis://[fe80::1%25eth0]", "redis://[fe80::1%eth0]:6379", None),
        ("unix:///run/r.sock?db=2", "unix:///run/r.sock", Some(2)),
        ("unix:/run/s", "unix:///run/s", None),
        ("redis+unix:/run/s?db=2", "unix:///run/s", Some(2)),
        ("redis+unix:///a%20b", "unix:///a%20b", None),
        ("unix:///a%2525%3F%23%0D/", "unix:///a%2525%3F%23%0D", None),
        ("redis-socket:///run/s?database=2", "unix:///run/s", Some(2)),
        ("redis:///run/s", "unix:///run/s", None),
    ] {
        let url = parse(text).unwrap_or_else(|invalid| panic!("{text}: {invalid}"));
        assert_eq!(url.address.to_string(), shown, "{text}");
        assert_eq!(url.database, database, "{text}");
        assert_eq!(parse(shown).unwrap().address, url.address, "{shown}");
    }
    let url = parse("valkeys://h:7").unwrap();
    assert_eq!(url.address, tcp("h", 7, true));
    assert_eq!(parse("unix:///s").unwrap().address, Address::Unix("/s".into()));
}

#[test]
fn credentials_are_decoded() {
    for (text, username, expected) in [
        ("redis://h", None, None),
        ("redis://user@h", Some("user"), None),
        ("redis://:pass@h", None, Some("pass")),
        ("redis://user:@h", Some("user"), None),
        (
            "redis://us%20er:p%40%2f%3A%25@h:1/2",
            Some("us er"),
            Some("p@/:%"),
        ),
        ("redis://user:a:b+c@h", Some("user"), Some("a:b+c")),
        ("redis://u:p@w@h", Some("u"), Some("p@w")),
        ("redis://u:50%25@h", Some("u"), Some("50%")),
        ("redis://u:%25zz%254@h", Some("u"), Some("%zz%4")),
        ("user:%C3%A9@h", Some("user"), Some("é")),
        ("unix://user:pass@/run/s", Some("user"), Some("pass")),
        ("redis://pass@/run/s", Some("pass"), None),
        (
            "unix:///run/s?user=user&pass=p%26",
            Some("user"),
            Some("p&"),
        ),
        ("redis://h?password=p%2B+q", None, Some("p+ q")),
        ("tcp://h:6379?auth=secret&database=3", None, Some("secret")),
        ("redis://h?username=u&password=p", Some("u"), Some("p")),
        ("tcp://h?auth[user]=u&auth[pass]=p", Some("u"), Some("p")),
    ] {
        let url = parse(text).unwrap_or_else(|invalid| panic!("{text}: {invalid}"));
        assert_eq!(url.username.as_deref(), username, "{text}");
        assert_eq!(password(&url), expected, "{text}");
    }
}

#[test]
fn url_parameters_are_used_or_ignored_with_a_note() {
    for (text, skip_verify, expected) in [
        ("redis://h", false, &[][..]),
        ("redis://h?", false, &[]),
        ("redis://h?db=1", false, &[]),
        ("redis://h:6379?family=0", false, &["ignored: family"]),
        (
            "redis://h?protocol=3&client_name=web@host",
            false,
            &["ignored: protocol, client_name"],
        ),
        (
            "redis://h?socket_timeout=5",
            false,
            &["ignored: socket_timeout; use poll.timeout"],
        ),
        ("redis://h?hunter2=1", false, &["has an unknown parameter"]),
        ("redis://h?a=1&b", false, &["has 2 unknown parameters"]),
        ("rediss://h?ssl_cert_reqs=none", true, &[]),
        ("rediss://h?ssl_cert_reqs=CERT_NONE", true, &[]),
        ("rediss://h?ssl_cert_reqs=required", false, &[]),
        ("redis://h?ssl_cert_reqs=none", false, &[]),
        ("rediss://h?verifyPeer=NONE", true, &[]),
        ("rediss://h?rejectUnauthorized=false", true, &[]),
        ("rediss://h?skip_verify=true", true, &[]),
        ("rediss://h?skip_verify=false", false, &[]),
        ("rediss://h/#insecure", true, &[]),
        (
            "rediss://h?ssl_ca_certs=/ca.pem",
            false,
            &["ignored: ssl_ca_certs; use tls.ca_file"],
        ),
        ("rediss://h?tls=false", false, &["TLS is used"]),
        ("\"redis://h\"", false, &["in quotes"]),
    ] {
        let url = parse(text).unwrap_or_else(|invalid| panic!("{text}: {invalid}"));
        assert_eq!(url.skip_verify, skip_verify, "{text}");
        assert_eq!(url.notes.len(), expected.len(), "{text}: {:?}", url.notes);
        for (note, expected) in url.notes.iter().zip(expected) {
            assert!(note.contains(expected), "{text}: {note}");
            assert!(!note.contains("hunter2"), "{note}");
        }
    }
    let url = parse("rediss://h?sslHost=redis.example").unwrap();
    assert_eq!(url.server_name.as_deref(), Some("redis.example"));
}

#[test]
fn connection_strings_of_stackexchange_are_read() {
    let url =
        parse("h.example:6380,password=pa=ss==,ssl=True,abortConnect=False,defaultDatabase=2");
    let url = url.unwrap();
    assert_eq!(url.address, tcp("h.example", 6380, true));
    assert_eq!((password(&url), url.database), (Some("pa=ss=="), Some(2)));
    assert_eq!(url.notes.len(), 1, "{:?}", url.notes);
    assert!(url.notes[0].contains("abortConnect"));
    let url = parse("h,user=u,password=p@q").unwrap();
    assert_eq!(url.address, tcp("h", 6379, false));
    assert_eq!(
        (url.username.as_deref(), password(&url)),
        (Some("u"), Some("p@q"))
    );
    assert_eq!(parse("h,ssl=true").unwrap().address, tcp("h", 6380, true));
}

#[test]
fn user_without_a_colon_can_become_the_password() {
    for (text, expected) in [
        ("redis://hunter2@h", Some("hunter2")),
        ("hunter2@h", Some("hunter2")),
        ("redis://hunter2@h?family=0", Some("hunter2")),
        ("redis://user:@h", None),
        ("redis://user@h?password=p", Some("p")),
    ] {
        let mut url = parse(text).unwrap();
        let is_taken = url.lacks_colon;
        url.take_user_as_password();
        assert_eq!(password(&url), expected, "{text}");
        assert_eq!(url.username.is_none(), is_taken, "{text}");
        assert_eq!(
            url.notes
                .iter()
                .any(|note| note.contains("redis://:password@host")),
            is_taken
        );
        assert!(!url.notes.concat().contains("hunter2"));
    }
}

#[test]
fn invalid_url_is_rejected_with_the_reason() {
    for (text, expected) in [
        ("", "is empty"),
        ("\"\"", "is empty"),
        ("\n", "is empty"),
        ("ftp://h", "unknown scheme"),
        ("https://h.upstash.io", "REST API"),
        ("redis-sentinel://h", "group of servers"),
        ("redis+cluster://h", "group of servers"),
        ("redis://", "names no host"),
        ("redis://:6379", "names no host"),
        ("redis://?host=h", "names no host"),
        ("redis://h:", "port"),
        ("redis://h:0", "port"),
        ("redis://h:+1", "port"),
        ("redis://h:65536", "port"),
        ("redis://h:x", "port"),
        ("redis://h/x", "database"),
        ("redis://h/-1", "database"),
        ("redis://h/0/1", "database"),
        ("redis://h?db=x", "database"),
        ("redis://h/1?db=2", "two databases"),
        ("redis://h?db=1&database=2", "two databases"),
        ("redis://:p@h?password=q", "two passwords"),
        ("rediss://h/#hunter2", "after #"),
        ("redis://h1:1,h2:2", "more than one server"),
        ("h1:1,h2:2,password=p", "more than one server"),
        ("redis://u:p/w@h", "is not encoded"),
        ("redis://u:p?w@h", "is not encoded"),
        ("redis://u:1?w=x@h", "is not encoded"),
        ("redis://u:p#w@h", "is not encoded"),
        ("redis://u:%ff@h", "not UTF-8"),
        ("redis://u:50%@h", "% in its password"),
        ("redis://u:%zz@h", "% as %25"),
        ("redis://u%4:p@h", "% in its user"),
        ("redis://::1", "IPv6"),
        ("redis://[::1", "IPv6"),
        ("redis://[::1]x", "IPv6"),
        ("redis://[::1%]", "IPv6"),
        ("redis://[::1%a b]", "IPv6"),
        ("redis://h h", "host name"),
        ("redis//h:6379", "write redis://"),
        ("rediss//h:6379", "write rediss://"),
        ("unix:run/s", "port"),
        ("unix://run/s", "absolute path"),
        ("unix:///", "absolute path"),
        ("unix:///s%00", "absolute path"),
        ("unix://a@/s?user=b", "two users"),
    ] {
        let invalid = parse(text).unwrap_err().to_string();
        assert!(invalid.contains(expected), "{text}: {invalid}");
    }
}

proptest! {
    #[test]
    fn no_text_causes_a_panic(text in "(redis|unix|rediss)?(://)?[ -~é]{0,40}") {
        let _ = parse(&text);
    }

    #[test]
    fn no_error_or_note_shows_a_password(
        before in "[:/?#@%a-z]{0,4}", after in "[:/?#@%,&=a-z]{0,4}", host in "[a-z:]{0,6}",
    ) {
        let text = format!("redis://user7:{before}hunter2{after}@{host}");
        let shown = match parse(&text) {
            Ok(url) => url.notes.concat(),
            Err(invalid) => invalid.to_string(),
        };
        prop_assert!(!shown.contains("hunter2") && !shown.contains("user7"), "{shown}");
    }

    #[test]
    fn path_text_can_be_parsed_again(path in "[^/\0][^\0]{0,20}") {
        let address = Address::Unix(Path::new("/").join(path.trim_matches('/')));
        prop_assume!(!path.trim_matches('/').is_empty());
        prop_assert_eq!(parse(&address.to_string()).unwrap().address, address);
    }

    #[test]
    fn address_text_can_be_parsed_again(host in "[a-z][a-z0-9.-]{0,20}", port in 1u16.., tls: bool) {
        let address = tcp(&host, port, tls);
        prop_assert_eq!(parse(&address.to_string()).unwrap().address, address);
    }
}
