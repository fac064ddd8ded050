//! What a PromQL expression names: its selectors, labels and ranges. It is no parser: it knows
//! only the form in which the repository's expressions are written.

/// One `metric{labels}` of an expression.
#[derive(Debug, PartialEq)]
pub struct Selector<'a> {
    /// The function that the selector is the direct argument of; empty when there is none.
    pub function: &'a str,
    /// The name of the metric.
    pub metric: &'a str,
    /// What stands between the braces.
    pub matchers: &'a str,
}

fn is_name(letter: char) -> bool {
    letter.is_ascii_alphanumeric() || letter == '_'
}

/// The name at the end of a text.
fn last_name(text: &str) -> &str {
    let start = text.trim_end_matches(is_name).len();
    text.get(start..).unwrap_or_default()
}

/// All selectors, in order. Braces stand only around matchers, and none inside of quotes.
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

/// The expression without its selectors and quoted texts: what must name no metric.
pub fn without_selectors(expression: &str) -> String {
    let mut text = expression.to_owned();
    for selector in selectors(expression) {
        let whole = format!("{}{{{}}}", selector.metric, selector.matchers);
        text = text.replacen(&whole, " ", 1);
    }
    text.split('"').step_by(2).collect()
}

/// The label names of matchers.
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

/// The label names in `by (…)`, `on (…)` and their like.
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

/// What stands in square brackets.
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
    fn selectors_come_with_the_function_around_them() {
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
    fn labels_and_ranges_are_found_wherever_they_stand() {
        assert_eq!(matched_labels(r#"job=~"$job",x!="1""#), ["job", "x"]);
        assert_eq!(grouped_labels(EXPRESSION), ["job", "le", "target"]);
        assert_eq!(ranges(EXPRESSION), ["5m"]);
    }

    #[test]
    fn a_metric_without_braces_stays_when_selectors_are_taken_out() {
        let rest = without_selectors(r#"redis_up + rate(redis_x{job="redis_y"}[5m])"#);
        assert_eq!(rest, "redis_up + rate( [5m])");
    }
}
