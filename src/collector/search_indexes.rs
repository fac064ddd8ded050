//! FT.INFO: size and contents of each search index. For servers with a search module.

use super::{Collector, Command, Query, Read, Replies, Server};
use crate::metric::{Descriptor, Family, Snapshot, Unit, source};
use crate::number::length;
use crate::reply::Reply;

/// Queries the names of all indexes.
pub static LIST: Query = Query::new(&[&["FT._LIST"]], PERMISSION);

/// Queries one index.
static INDEX: Query = Query::new(&[&["FT.INFO"]], PERMISSION);

const PERMISSION: &str = "+ft._list +ft.info";

/// Maximum number of published indexes. Each costs one query.
const MOST_INDEXES: usize = 100;

#[rustfmt::skip] // One metric, one line.
mod rows {
    use super::{Family, Unit, source};

    pub(super) static DROPPED: Family<0> = Family::gauge("redis_exporter_dropped_search_indexes", &[], source("FT._LIST", ""), Unit::One, "Matching search indexes that are not exported because of the limit of 100.");
}

const fn gauge(
    field: &'static str,
    unit: Unit,
    name: &'static str,
    help: &'static str,
) -> Family<1> {
    Family::gauge(name, &["index_name"], source("FT.INFO", field), unit, help)
}

#[rustfmt::skip] // One metric, one line.
static ROWS: &[Family<1>] = &[
    gauge("num_docs", Unit::One, "redis_search_index_num_docs", "Documents in the index."),
    gauge("max_doc_id", Unit::One, "redis_search_index_max_doc_id", "Highest document ID in the index."),
    gauge("num_terms", Unit::One, "redis_search_index_num_terms", "Distinct terms in the index."),
    gauge("num_records", Unit::One, "redis_search_index_num_records", "Records in the index."),
    gauge("inverted_sz_mb", Unit::Mebibytes, "redis_search_index_inverted_size_bytes", "Memory of the inverted index."),
    gauge("total_inverted_index_blocks", Unit::One, "redis_search_index_total_inverted_index_blocks", "Blocks of inverted indexes; some servers count those of all indexes together."),
    gauge("vector_index_sz_mb", Unit::Mebibytes, "redis_search_index_vector_index_size_bytes", "Memory of the vector index."),
    gauge("offset_vectors_sz_mb", Unit::Mebibytes, "redis_search_index_offset_vectors_size_bytes", "Memory of the positions of terms."),
    gauge("doc_table_size_mb", Unit::Mebibytes, "redis_search_index_doc_table_size_bytes", "Memory of the table of documents."),
    gauge("sortable_values_size_mb", Unit::Mebibytes, "redis_search_index_sortable_values_size_bytes", "Memory of sortable values."),
    gauge("key_table_size_mb", Unit::Mebibytes, "redis_search_index_key_table_size_bytes", "Memory of the table from keys to documents."),
    gauge("tag_overhead_sz_mb", Unit::Mebibytes, "redis_search_index_tag_overhead_size_bytes", "Memory overhead of tag indexes."),
    gauge("text_overhead_sz_mb", Unit::Mebibytes, "redis_search_index_text_overhead_size_bytes", "Memory overhead of text indexes."),
    gauge("total_index_memory_sz_mb", Unit::Mebibytes, "redis_search_index_total_index_memory_size_bytes", "Memory of the whole index."),
    gauge("geoshapes_sz_mb", Unit::Mebibytes, "redis_search_index_geoshapes_size_bytes", "Memory of indexed shapes."),
    gauge("records_per_doc_avg", Unit::One, "redis_search_index_avg_per_doc_records", "Records per document, on average."),
    gauge("bytes_per_record_avg", Unit::Bytes, "redis_search_index_avg_per_record_bytes", "Bytes per record, on average."),
    gauge("offsets_per_term_avg", Unit::One, "redis_search_index_avg_per_term_offsets", "Positions per term, on average."),
    gauge("offset_bits_per_record_avg", Unit::One, "redis_search_index_avg_per_record_offset_bits", "Bits of positions per record, on average."),
    gauge("indexing", Unit::One, "redis_search_index_indexing", "Whether the index is being built (1) or not (0)."),
    gauge("percent_indexed", Unit::One, "redis_search_index_percent_indexed", "Share of the documents that are indexed, from 0 to 1."),
    gauge("hash_indexing_failures", Unit::One, "redis_search_index_hash_indexing_failures", "Documents that could not be indexed."),
    Family::counter("redis_search_index_number_of_uses_total", &["index_name"], source("FT.INFO", "number_of_uses"), Unit::One, "Number of times that the index was used."),
    gauge("cleaning", Unit::One, "redis_search_index_cleaning", "Whether the index is being cleaned of deleted documents (1) or not (0)."),
];

/// Reads the indexes.
pub static COLLECTOR: Collector = Collector {
    name: "search_indexes",
    about: "Size and contents of each search index that the option `search_indexes` matches, at most 100. Requires a server with a search module.",
    queries: &[&LIST],
    further_queries: &[&INDEX],
    further,
    applies: Server::holds_keys,
    families,
    read: Read::Samples(read),
    ..Collector::OFF
};

fn families() -> Vec<&'static Descriptor> {
    let rows = ROWS.iter().map(Family::descriptor);
    rows.chain([rows::DROPPED.descriptor()]).collect()
}

/// Returns the names of matching indexes, sorted, so that all polls publish the same ones.
fn matching(replies: &Replies) -> Vec<&[u8]> {
    let wanted = &replies.circumstances.options.search_indexes;
    let listed = replies.reply(&LIST).map(Reply::items).unwrap_or_default();
    let mut names: Vec<&[u8]> = listed
        .iter()
        .filter_map(Reply::bytes)
        .filter(|name| wanted.as_ref().is_none_or(|wanted| wanted.is_match(name)))
        .collect();
    names.sort_unstable();
    names.dedup();
    names
}

fn further(replies: &Replies) -> Vec<Command<'_>> {
    let names = matching(replies).into_iter().take(MOST_INDEXES);
    let commands = names.enumerate();
    commands.map(|(at, name)| INDEX.with(at, [name])).collect()
}

fn read(replies: &Replies, snapshot: &mut Snapshot) {
    if replies.reply(&LIST).is_none() {
        return;
    }
    let names = matching(replies);
    let dropped = names.len().saturating_sub(MOST_INDEXES);
    snapshot.push(&rows::DROPPED, [], length(dropped));
    for (at, name) in names.into_iter().enumerate() {
        let Some(index) = replies.reply(INDEX.ticket(at)) else {
            continue;
        };
        let name = String::from_utf8_lossy(name);
        for row in ROWS {
            let value = index.value_of(row.field());
            snapshot.push(row, [&name], value.and_then(Reply::number));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::collector::{Circumstances, reading};

    fn list(names: &[&str]) -> Reply {
        Reply::List(names.iter().map(|name| reading::bytes(name)).collect())
    }

    /// Returns a reply to FT.INFO as documented: numbers as integers and as text, and lists.
    fn index() -> Reply {
        let mut items = vec![
            reading::bytes("index_name"),
            reading::bytes("idx"),
            reading::bytes("index_options"),
            Reply::List(Vec::new()),
        ];
        for (name, value) in [
            ("num_docs", Reply::Integer(2)),
            ("max_doc_id", reading::bytes("7")),
            ("inverted_sz_mb", reading::bytes("0.5")),
            ("records_per_doc_avg", reading::bytes("-nan")),
            ("offsets_per_term_avg", reading::bytes("nan")),
            ("percent_indexed", reading::bytes("1")),
            ("number_of_uses", Reply::Integer(9)),
            ("gc_stats", Reply::List(vec![reading::bytes("num_docs")])),
        ] {
            items.extend([reading::bytes(name), value]);
        }
        Reply::List(items)
    }

    fn seen(names: &[&str], reply_to: &dyn Fn(&Command<'_>) -> Option<Reply>) -> Vec<String> {
        let replies = [(&LIST, list(names))];
        let circumstances = Circumstances::default();
        reading::of_further(&COLLECTOR, "", circumstances, &replies, reply_to)
    }

    #[test]
    fn index_numbers_are_published_and_others_absent() {
        let expected = [
            "redis_exporter_dropped_search_indexes{} 0",
            "redis_search_index_inverted_size_bytes{idx} 0.5",
            "redis_search_index_max_doc_id{idx} 7",
            "redis_search_index_num_docs{idx} 2",
            "redis_search_index_number_of_uses_total{idx} 9",
            "redis_search_index_percent_indexed{idx} 1",
        ];
        assert_eq!(seen(&["idx"], &|_| Some(index())), expected);
    }

    #[test]
    fn sizes_in_mebibytes_are_converted() {
        for row in ROWS.iter().map(Family::descriptor) {
            let in_mebibytes = row.unit == Unit::Mebibytes;
            assert_eq!(
                row.source.field.ends_with("_mb"),
                in_mebibytes,
                "{}",
                row.name
            );
        }
    }

    #[test]
    fn removed_index_does_not_affect_others() {
        let reply_to = |command: &Command<'_>| {
            let is_gone = command.words.iter().any(|name| **name == *b"a");
            let refusal = crate::reply::Refusal {
                code: "Unknown".to_owned(),
                message: "index name".to_owned(),
            };
            Some(if is_gone {
                Reply::Error(refusal)
            } else {
                index()
            })
        };
        let seen = seen(&["b", "a"], &reply_to);
        assert!(seen.contains(&"redis_search_index_num_docs{b} 2".to_owned()));
        assert!(!seen.iter().any(|line| line.contains("{a}")), "{seen:?}");
    }

    #[test]
    fn only_published_indexes_are_queried() {
        let names: Vec<String> = (0..130).map(|at| format!("i{at:03}")).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let seen = seen(&names, &|_| Some(index()));
        assert!(seen.contains(&"redis_exporter_dropped_search_indexes{} 30".to_owned()));
        let shown = seen.iter().filter(|line| line.contains("_num_docs{"));
        assert_eq!(shown.count(), MOST_INDEXES);
    }
}
