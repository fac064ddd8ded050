//! Finds selectors, labels and ranges in a PromQL expression.
//!
//! It is not a parser: it only supports the style of the repository's expressions.

/// A `metric{labels}` of an expression.
#[derive(Debug, PartialEq)]
pub struct Selector<'a> {
    /// The function whose direct argument the selector is, or empty.
    pub function: &'a str,
    /// The name of the metric.
    pub metric: &'a str,
    /// The text between the braces.
    pub matchers: &'a str,
}

fn is_name(letter: char) -> bool {
    letter.is_ascii_alphanumeric() || letter == '_'
}

/// Returns the name at the end of a text.
fn last_name(text: &str) -> &str {
    let start = text.trim_end_matches(is_name).len();
    text.get(start..).unwrap_or_default()
}

/// Returns all selectors, in order. Braces only surround matchers, and quoted text has none.
pub fn selectors(expression: &str) -> Vec<Selector<'_>> {
    let mut found = Vec::new();
    let mut rest = expression;
    while let Some((before, after)) = rest.split_once('{') {
        let (matchers, after) = after.split_once('}').unwrap_or((after, ""));
        let metric = last_name(before);
        let before = before.strip_suffix(metric).unwrap_or(before);
        let function = before.strip_suffix('(').map(last_name).unwrap_or_default();
        found.push(Selector {
            function,
            metric,
            matchers,
        });
        rest = after;
    }
    found
}

/// Returns the expression without selectors and quoted text. The rest must not name a metric.
pub fn without_selectors(expression: &str) -> String {
    let mut text = expression.to_owned();
    for selector in selectors(expression) {
        let whole = format!("{}{{{}}}", selector.metric, selector.matchers);
        text = text.replacen(&whole, " ", 1);
    }
    text.split('"').step_by(2).collect()
}

/// Returns the label names of matchers.
pub fn matched_labels(matchers: &str) -> Vec<&str> {
    let outside = matchers.split('"').step_by(2);
    outside
        .map(|text| {
            text.trim_start_matches(',')
                .trim_end_matches(['=', '!', '~'])
        })
        .filter(|label| !label.is_empty())
        .collect()
}

/// Returns the label names in `by (…)`, `on (…)` and similar clauses.
pub fn grouped_labels(expression: &str) -> Vec<&str> {
    let words = [
        "by (",
        "on (",
        "without (",
        "ignoring (",
        "group_left (",
        "group_right (",
    ];
    words
        .iter()
        .flat_map(|word| expression.split(word).skip(1))
        .filter_map(|rest| rest.split_once(')'))
        .flat_map(|(labels, _)| labels.split(", "))
        .filter(|label| !label.is_empty())
        .collect()
}

/// Returns the texts in square brackets.
pub fn ranges(expression: &str) -> Vec<&str> {
    expression
        .split('[')
        .skip(1)
        .filter_map(|rest| rest.split_once(']'))
        .map(|(range, _)| range)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const EXPRESSION: &str = r#"sum by (job, le) (rate(a_total{job=~"$job",x!="1"}[5m])) / on (target) (b{job="c"} > 0)"#;

    #[test]
    fn selectors_include_the_surrounding_function() {
        let found = selectors(EXPRESSION);
        let expected = [
            Selector {
                function: "rate",
                metric: "a_total",
                matchers: r#"job=~"$job",x!="1""#,
            },
            Selector {
                function: "",
                metric: "b",
                matchers: r#"job="c""#,
            },
        ];
        assert_eq!(found, expected);
    }

    #[test]
    fn labels_and_ranges_are_found_anywhere() {
        assert_eq!(matched_labels(r#"job=~"$job",x!="1""#), ["job", "x"]);
        assert_eq!(grouped_labels(EXPRESSION), ["job", "le", "target"]);
        assert_eq!(ranges(EXPRESSION), ["5m"]);
    }

    #[test]
    fn metric_without_braces_is_kept() {
        let rest = without_selectors(r#"redis_up + rate(redis_x{job="redis_y"}[5m])"#);
        assert_eq!(rest, "redis_up + rate( [5m])");
    }
}
