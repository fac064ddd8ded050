//! Constructors for rows of plain INFO fields: field, unit in the reply, full metric name, help.

use crate::metric::{Family, Unit, source};

/// Returns the row of a gauge.
pub(super) const fn gauge(
    field: &'static str,
    unit: Unit,
    name: &'static str,
    help: &'static str,
) -> Family<0> {
    Family::gauge(name, &[], source("INFO", field), unit, help)
}

/// Returns the row of a counter.
pub(super) const fn counter(
    field: &'static str,
    unit: Unit,
    name: &'static str,
    help: &'static str,
) -> Family<0> {
    Family::counter(name, &[], source("INFO", field), unit, help)
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::super::rows;
    use crate::metric::{Family, Legacy};

    #[test]
    fn clean_and_legacy_names_are_unique() {
        let mut names = HashSet::new();
        for row in rows().map(Family::descriptor) {
            assert!(names.insert(row.name), "{} is there twice", row.name);
            if let Some(Legacy { name, .. }) = row.legacy.filter(|legacy| legacy.name != row.name) {
                assert!(names.insert(name), "{name} is there twice");
            }
        }
    }

    #[test]
    fn fields_have_one_row_each() {
        let mut fields = HashSet::new();
        for row in rows().map(Family::descriptor) {
            assert!(
                fields.insert(row.source.field),
                "{} has two rows",
                row.source.field
            );
        }
    }

    #[test]
    fn help_is_one_sentence_without_the_field_name() {
        for row in rows().map(Family::descriptor) {
            let Some(sentence) = row.help.strip_suffix('.') else {
                panic!("the help of {} does not end with a full stop", row.name);
            };
            assert!(
                !sentence.contains(". "),
                "the help of {} is two sentences",
                row.name
            );
            assert!(
                sentence.starts_with(|first: char| first.is_uppercase()),
                "{}",
                row.name
            );
            let field = row.source.field;
            assert!(
                !field.contains('_') || !row.help.contains(field),
                "{field} is in its help"
            );
        }
    }
}
