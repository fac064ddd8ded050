//! INFO text → fields and records. Pure; it gives no field a meaning.

/// One `name:value` line of INFO, with the section that it stands in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Field<'a> {
    /// The title of the section, as `Memory`; empty before the first title.
    pub section: &'a str,
    /// What stands before the first colon.
    pub name: &'a str,
    /// What stands after it.
    pub value: &'a str,
}

impl<'a> Field<'a> {
    /// The value as a record, `a=1,b=2`: pairs in the order in which they stand. Parts without an
    /// equals sign are left out.
    pub fn record(&self) -> impl Iterator<Item = (&'a str, &'a str)> + use<'a> {
        self.value
            .split(',')
            .filter_map(|part| part.split_once('='))
    }

    /// The value of one name in the record.
    #[must_use]
    pub fn in_record(&self, name: &str) -> Option<&'a str> {
        self.record()
            .find(|(at, _)| *at == name)
            .map(|(_, value)| value)
    }

    /// The number of one name in the record.
    #[must_use]
    pub fn number_in_record(&self, name: &str) -> Option<f64> {
        self.in_record(name).and_then(number)
    }
}

/// The fields of an INFO reply, in the order in which they stand.
#[derive(Clone, Debug, Default)]
pub struct Info<'a> {
    fields: Vec<Field<'a>>,
}

impl<'a> Info<'a> {
    /// Reads the text of INFO or of CLUSTER INFO. Lines that are not fields are left out.
    #[must_use]
    pub fn parse(text: &'a str) -> Self {
        let mut section = "";
        let mut fields = Vec::new();
        for line in text.lines().map(str::trim_end) {
            if let Some(title) = line.strip_prefix('#') {
                section = title.trim();
            } else if let Some((name, value)) = line.split_once(':') {
                fields.push(Field {
                    section,
                    name,
                    value,
                });
            }
        }
        Self { fields }
    }

    /// All fields.
    #[must_use]
    pub fn fields(&self) -> &[Field<'a>] {
        &self.fields
    }

    /// The fields of one section.
    pub fn section<'s>(&'s self, title: &'s str) -> impl Iterator<Item = &'s Field<'a>> {
        self.fields
            .iter()
            .filter(move |field| field.section == title)
    }

    /// The value of the first field of that name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&'a str> {
        self.fields
            .iter()
            .find(|field| field.name == name)
            .map(|field| field.value)
    }

    /// The number of the first field of that name.
    #[must_use]
    pub fn number(&self, name: &str) -> Option<f64> {
        self.get(name).and_then(number)
    }

    /// Whether there is a section of that title.
    #[must_use]
    pub fn has_section(&self, title: &str) -> bool {
        self.section(title).next().is_some()
    }
}

/// Reads a value of INFO as a number: a plain number, a percentage, or one of the words by which
/// Redis says good (1) and bad (0). Everything else, not a number included, is none.
#[must_use]
pub fn number(value: &str) -> Option<f64> {
    match value {
        "ok" | "true" | "up" => Some(1.0),
        "err" | "fail" | "false" | "down" => Some(0.0),
        _ => {
            let digits = value.strip_suffix('%').unwrap_or(value);
            // `parse` also takes the words inf and nan, which are no values of INFO.
            digits
                .parse::<f64>()
                .ok()
                .filter(|number| number.is_finite())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const TEXT: &str = "# Server\r\nredis_version:7.0.15\r\nconfig_file:/etc/a:b.conf\r\n\r\n\
                        # Keyspace\r\ndb0:keys=12,expires=3,avg_ttl=500\r\nnonsense\r\n";

    #[test]
    fn fields_know_their_section_and_keep_colons_in_values() {
        let info = Info::parse(TEXT);
        assert_eq!(info.get("redis_version"), Some("7.0.15"));
        assert_eq!(info.get("config_file"), Some("/etc/a:b.conf"));
        let names: Vec<_> = info.section("Keyspace").map(|field| field.name).collect();
        assert_eq!(names, ["db0"]);
        assert!(!info.has_section("Memory"));
    }

    #[test]
    fn records_are_read_by_name() {
        let info = Info::parse(TEXT);
        let db0 = info.section("Keyspace").next().unwrap();
        assert_eq!(db0.number_in_record("avg_ttl"), Some(500.0));
        assert_eq!(db0.number_in_record("subexpiry"), None);
        assert_eq!(db0.record().count(), 3);
    }

    #[test]
    fn words_and_percentages_are_numbers_and_nan_is_not() {
        let read = [
            "ok", "err", "up", "down", "99.18%", "-1", "0.61", "-nan", "inf", "", "x", "1e3",
        ]
        .map(number);
        let expected = [
            Some(1.0),
            Some(0.0),
            Some(1.0),
            Some(0.0),
            Some(99.18),
            Some(-1.0),
            Some(0.61),
            None,
            None,
            None,
            None,
            Some(1000.0),
        ];
        assert_eq!(read, expected);
    }

    proptest! {
        #[test]
        fn any_text_is_read_without_a_panic(text in "(\\PC|[\\r\\n:=,#%])*") {
            for field in Info::parse(&text).fields() {
                let _ = number(field.value);
                let _ = field.record().count();
                prop_assert!(text.contains(field.name));
            }
        }
    }
}
