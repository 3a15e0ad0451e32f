//! `docs/OBSERVABILITY.md`, made from the declarations.

use std::fmt::Write;

use super::declared::{Metric, SECTIONS};

/// Where the document stands in the repository.
pub const FILE: &str = "docs/OBSERVABILITY.md";

/// The document as it is written to [`FILE`].
pub fn text() -> String {
    let mut text = METRICS.to_owned();
    for (title, metrics) in SECTIONS {
        let _ = write!(text, "\n### {title}\n\n| metric | kind | labels | meaning |\n| --- | --- | --- | --- |\n");
        for Metric { name, kind, labels, help } in *metrics {
            let labels: Vec<String> = labels.iter().map(|label| format!("`{label}`")).collect();
            let _ = writeln!(text, "| `{name}` | {} | {} | {help} |", kind.as_str(), labels.join(" "));
        }
    }
    text + TRACES
}

const METRICS: &str = "\
# Metrics and traces

<!-- Made from the declarations by `cargo run -- config --write-docs`; do not edit. -->

What a node prints is described in [LOGGING.md](LOGGING.md), its variables in [CONFIGURATION.md](CONFIGURATION.md).

## Metrics

`GET /metrics` answers in the text format of Prometheus. It wants `METRICS_TOKEN`, `AUTH_KEY` or an access token of any role as
`Authorization: Bearer …`; `METRICS_PUBLIC=true` opens it to everyone. Wrong guesses count as failed logins of their address.

```yaml
scrape_configs:
  - job_name: gpt-load
    authorization:
      credentials_file: /etc/prometheus/gpt-load-token
    static_configs:
      - targets: ['gpt-load:3001']
```

Numbers are those of one node since its start; a cluster is the sum over its nodes, except `gpt_load_keys*`, the circuits and
the pool guard, which every node tells of the whole group as it sees it. A series that never counted anything is absent, those
of a group that is deleted or renamed end. Histograms add `_bucket` (with the label `le`), `_sum` and `_count` to their names.

Labels are bounded: `class` is an outcome class, `status` one of the usual statuses or its hundred (`4xx`), `code` an error code
of the gateway, `model` one of the first 100 models for which a provider counted tokens, or `other`. No key, no address of a
client and no text of a request is in them. `upstream` is a base URL of the group, so with `METRICS_PUBLIC` everyone can read it.

What is refused before it belongs to a group (a wrong proxy key, no such group) counts with an empty `group`. A group behind an
aggregate counts what it serves; the aggregate itself only what it refuses.
";

const TRACES: &str = "
## Traces

Off until `OTEL_EXPORTER_OTLP_ENDPOINT` (or `OTEL_EXPORTER_OTLP_TRACES_ENDPOINT`) names a collector. Then each request is a span
of kind *server* and each of its attempts one of kind *client* below it.

| span | attributes |
| --- | --- |
| request, `POST /proxy/{group}/{path}` or `POST /{path}` | `http.request.method`, `http.route`, `url.path`, `http.response.status_code`, `error.type`, `gpt_load.request_id`, `gpt_load.group`, `gpt_load.attempts`, `gpt_load.class` |
| attempt, `chat gpt-4.1` (operation and model), else the method | `gen_ai.operation.name`, `gen_ai.provider.name`, `gen_ai.request.model`, `gen_ai.response.model`, `gen_ai.response.finish_reasons`, `gen_ai.usage.input_tokens`, `gen_ai.usage.output_tokens`, `gen_ai.usage.cache_read.input_tokens`, `gen_ai.usage.reasoning.output_tokens`, `http.request.method`, `http.request.resend_count`, `http.response.status_code`, `server.address`, `server.port`, `error.type`, `gpt_load.request_id`, `gpt_load.group`, `gpt_load.key_id`, `gpt_load.class`, `gpt_load.rule` |

`error.type` is the outcome class, for what the gateway refused the code of its error. `gpt_load.request_id` is the id of the
access line, of the rows of the request log and of the answer's `x-gpt-load-request-id`. Prompts, answers, keys, queries and
header values are in no span.

A client's `traceparent` (W3C Trace Context) is the parent of the request; whether it is recorded follows the sampler
(`OTEL_TRACES_SAMPLER`, by default the parent's word, else always). Upstreams get a `traceparent` of the attempt and no
longer the client's, whether or not it is recorded; the header rules of a group can take it away. With traces off, the client's headers pass as they are.

| variable | meaning |
| --- | --- |
| `OTEL_EXPORTER_OTLP_PROTOCOL` | `http/protobuf` (usually port 4318; `/v1/traces` is added to the endpoint) or `grpc` (usually port 4317) |
| `OTEL_EXPORTER_OTLP_HEADERS` | `name=value` pairs for the collector, such as its API key |
| `OTEL_TRACES_SAMPLER`, `OTEL_TRACES_SAMPLER_ARG` | `parentbased_traceidratio` and `0.1` record a tenth |
| `OTEL_SERVICE_NAME`, `OTEL_RESOURCE_ATTRIBUTES` | who the spans are from; `service.instance.id` is `NODE_NAME` |
| `OTEL_BSP_MAX_QUEUE_SIZE`, `OTEL_BSP_SCHEDULE_DELAY` | spans that may wait, and how long they do at most |
| `OTEL_SDK_DISABLED` | `true` switches traces off |

Roots for `https://` are the system's and those of `EXTRA_CA_FILE`. No request ever waits for the collector: spans wait in a
queue for a thread of their own, and what finds it full, or is not taken within `OTEL_EXPORTER_OTLP_TIMEOUT`, is lost and counted in
`gpt_load_spans_dropped_total`.
";
