use std::collections::HashSet;

use gpt_load_schema::log::OutcomeClass;

use super::{labels::MODELS, *};

/// What one group shows.
fn shown(group: &GroupMetrics) -> String {
    let mut page = Page::default();
    group.show("team", &mut page);
    page.text()
}

fn ended(class: Option<OutcomeClass>, status: u16, model: &str, usage: TokenUsage) -> Ended<'_> {
    Ended { class, status, duration: Duration::from_millis(20), model, usage }
}

fn tokens(input: u64, output: u64) -> TokenUsage {
    TokenUsage { input: Some(input), output: Some(output), ..TokenUsage::default() }
}

#[test]
fn a_page_is_the_text_format() {
    let metrics = Metrics::default();
    metrics.turned_away("UNAUTHORIZED", 401, Duration::from_millis(3));
    let mut page = Page::default();
    metrics.show(&mut page);
    let text = page.text();
    let expected = "# HELP gpt_load_refusals_total Requests that the gateway refused itself, by the code of its error.\n\
                    # TYPE gpt_load_refusals_total counter\n\
                    gpt_load_refusals_total{code=\"UNAUTHORIZED\"} 1\n";
    assert!(text.contains(expected), "{text}");
    assert!(text.contains("gpt_load_requests_total{group=\"\",class=\"refused\",status=\"401\"} 1\n"), "{text}");
    assert!(text.contains("gpt_load_request_duration_seconds_bucket{group=\"\",le=\"0.005\"} 1\n"), "{text}");
}

#[test]
fn label_values_cannot_break_out_of_their_quotes() {
    let group = GroupMetrics::default();
    group.ended(&ended(Some(OutcomeClass::Success), 200, "a\"} 1\\", tokens(1, 0)));
    let text = shown(&group);
    assert!(text.contains(r#"gpt_load_tokens_total{group="team",model="a\"} 1\\",kind="input"} 1"#), "{text}");
}

#[test]
fn every_class_is_counted_under_its_own_word() {
    let group = GroupMetrics::default();
    for (times, class) in (1..).zip(OutcomeClass::ALL) {
        (0..times).for_each(|_| {
            group.attempted(class);
            group.ended(&ended(Some(class), 200, "", TokenUsage::default()));
        });
    }
    group.ended(&ended(None, 503, "", TokenUsage::default()));
    let text = shown(&group);
    for (times, class) in (1..).zip(OutcomeClass::ALL) {
        let attempts = format!("gpt_load_attempts_total{{group=\"team\",class=\"{class}\"}} {times}\n");
        let requests = format!("gpt_load_requests_total{{group=\"team\",class=\"{class}\",status=\"200\"}} {times}\n");
        assert!(text.contains(&attempts) && text.contains(&requests), "{class}: {text}");
    }
    assert!(text.contains("{group=\"team\",class=\"refused\",status=\"503\"} 1\n"), "{text}");
}

#[test]
fn models_beyond_the_cap_share_a_series_over_all_groups() {
    let metrics = Metrics::default();
    let (one, other) = (metrics.group(), metrics.group());
    for number in 0..MODELS {
        one.ended(&ended(Some(OutcomeClass::Success), 200, &format!("model-{number}"), tokens(1, 2)));
    }
    for (model, times) in [("model-7", 3), ("unknown-1", 5), ("unknown-2", 7)] {
        (0..times).for_each(|_| other.ended(&ended(Some(OutcomeClass::Success), 200, model, tokens(10, 0))));
    }
    let models = |text: &str| {
        let of = |line: &str| Some(line.split_once("model=\"")?.1.split_once('"')?.0.to_owned());
        text.lines().filter_map(of).collect::<HashSet<_>>()
    };
    assert_eq!(models(&shown(&one)).len(), MODELS);
    assert_eq!(models(&shown(&other)), HashSet::from(["model-7".to_owned(), "other".to_owned()]));
    let text = shown(&other);
    assert!(text.contains("{group=\"team\",model=\"model-7\",kind=\"input\"} 30\n"), "{text}");
    assert!(text.contains("{group=\"team\",model=\"other\",kind=\"input\"} 120\n"), "{text}");
}

#[test]
fn a_model_that_is_called_other_is_no_second_series() {
    let group = GroupMetrics::default();
    group.ended(&ended(Some(OutcomeClass::Success), 200, "other", tokens(4, 0)));
    group.ended(&ended(Some(OutcomeClass::Success), 200, "", tokens(3, 0)));
    let text = shown(&group);
    assert_eq!(text.matches("model=\"other\",kind=\"input\"").count(), 1, "{text}");
    assert!(text.contains("model=\"other\",kind=\"input\"} 7\n"), "{text}");
}

#[test]
fn models_without_tokens_take_no_place() {
    let metrics = Metrics::default();
    let group = metrics.group();
    for number in 0..2 * MODELS {
        group.ended(&ended(Some(OutcomeClass::ClientError), 404, &format!("made-up-{number}"), TokenUsage::default()));
    }
    group.ended(&ended(Some(OutcomeClass::Success), 200, "real", tokens(1, 1)));
    let text = shown(&group);
    assert!(!text.contains("made-up") && text.contains("model=\"real\""), "{text}");
}

#[test]
fn counting_from_many_threads_loses_nothing() {
    let metrics = Metrics::default();
    let group = metrics.group();
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let group = &group;
            scope.spawn(move || {
                for _ in 0..1_000 {
                    group.ended(&ended(Some(OutcomeClass::Success), 200, &format!("m{}", thread % 2), tokens(1, 0)));
                }
            });
        }
    });
    let text = shown(&group);
    assert!(text.contains("class=\"success\",status=\"200\"} 4000\n"), "{text}");
    for model in ["m0", "m1"] {
        assert!(text.contains(&format!("model=\"{model}\",kind=\"input\"}} 2000\n")), "{text}");
    }
    assert!(text.contains("gpt_load_request_duration_seconds_count{group=\"team\"} 4000\n"), "{text}");
}

#[test]
fn the_node_tells_of_itself() {
    let mut page = Page::default();
    show_node(&mut page);
    let text = page.text();
    let value = |name: &str| {
        let line = text.lines().find(|line| line.starts_with(&format!("{name} ")));
        line.and_then(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).unwrap_or(0.0)
    };
    assert!(text.contains(&format!("gpt_load_build_info{{version=\"{}\"}} 1\n", env!("CARGO_PKG_VERSION"))), "{text}");
    assert!(value("process_resident_memory_bytes") > 1e6, "{text}");
    assert!(value("process_threads") >= 1.0, "{text}");
    assert!(value("process_open_fds") >= 3.0, "{text}");
    assert!(value("process_start_time_seconds") > 1.7e9, "{text}");
}

#[test]
fn the_document_is_that_of_the_declarations() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/OBSERVABILITY.md");
    let written = std::fs::read_to_string(path).unwrap_or_default();
    assert!(written == docs::text(), "{} is out of date: cargo run -- config --write-docs", docs::FILE);
}
