//! The table of all static settings: sections in order, variables in order within them.

use std::{collections::BTreeMap, path::PathBuf, time::Duration};

use gpt_load_schema::{secret::Secret, settings::Text};
use ipnet::IpNet;
use tracing::level_filters::LevelFilter;

use super::{
    check,
    dsn::{check_database, check_redis},
    error::ConfigError,
    parse::{JournalFsync, LogFormat},
    reload::Change,
    values::Values,
    variable::{Secrecy, Section, Unit, Variable, variables},
};

variables! {
    Server {
        HOST host: String = "0.0.0.0" {}
            "监听地址。"
            "Address to listen on."
            "待ち受けアドレス。"
        PORT port: u16 = "3001" { min: 1, max: 65_535 }
            "监听端口。"
            "Port to listen on."
            "待ち受けポート。"
        BASE_PATH base_path: String = "/" { check: check::base_path }
            "位于反向代理之后时的路径前缀。"
            "Path prefix behind a reverse proxy."
            "リバースプロキシの背後で使うパスのプレフィックス。"
        WORKERS workers: usize = "{cores}" { min: 1, max: 1024 }
            "处理请求的线程数。"
            "Threads that serve requests."
            "リクエストを処理するスレッド数。"
        MAX_CONCURRENT_REQUESTS max_concurrent_requests: usize = "100" { min: 1, hot: true }
            "同时处理的请求数上限；超出时返回 503。健康检查和静态文件不计入。"
            "Requests in progress; more are answered 503. Health checks and static files do not count."
            "同時に処理するリクエスト数の上限。超えた分には 503 を返します。ヘルスチェックと静的ファイルは数えません。"
        SERVER_READ_TIMEOUT server_read_timeout: Duration = "60" { unit: Unit::Seconds }
            "接收完整请求的时限；0 表示不限制。"
            "Time to receive a request; 0 = no limit."
            "リクエスト全体を受信する制限時間。0 は無制限です。"
        SERVER_WRITE_TIMEOUT server_write_timeout: Duration = "600" { unit: Unit::Seconds }
            "响应在没有任何进展时的时限；不会中断仍在传输的流。0 表示不限制。"
            "Time for which an answer may stand still; does not cut a stream that moves. 0 = no limit."
            "応答が進まない状態の制限時間。データが流れているストリームは切断しません。0 は無制限です。"
        SERVER_IDLE_TIMEOUT server_idle_timeout: Duration = "120" { unit: Unit::Seconds }
            "空闲客户端连接的保留时间。"
            "How long an unused client connection is kept."
            "使われていないクライアント接続を保持する時間。"
        SERVER_GRACEFUL_SHUTDOWN_TIMEOUT server_graceful_shutdown_timeout: Duration = "10" { unit: Unit::Seconds }
            "停止时等待进行中请求完成的时间，不少于 10 秒。"
            "Time that requests in progress have to end when the node stops; at least 10."
            "停止時に処理中のリクエストの完了を待つ時間。10 秒以上です。"
        TLS_CERT_FILE tls_cert_file: Option<PathBuf> = "" {}
            "HTTPS 证书链文件（PEM），需与 TLS_KEY_FILE 同时设置；文件变化后自动重新加载。"
            "PEM file with the certificate chain for HTTPS, together with TLS_KEY_FILE; reloaded when it changes."
            "HTTPS 証明書チェーンの PEM ファイル。TLS_KEY_FILE と併せて設定します。変更されると再読み込みします。"
        TLS_KEY_FILE tls_key_file: Option<PathBuf> = "" {}
            "HTTPS 私钥文件（PEM）。"
            "PEM file with the private key for HTTPS."
            "HTTPS 秘密鍵の PEM ファイル。"
        TRUSTED_PROXIES trusted_proxies: Vec<IpNet> = "" { hot: true }
            "可信反向代理的地址或网段；只采信来自它们的 X-Forwarded-For。"
            "Addresses or networks of reverse proxies whose X-Forwarded-For counts."
            "X-Forwarded-For を信頼するリバースプロキシのアドレスまたはネットワーク。"
        TZ tz: Option<String> = "" { planned: true }
            "日志与图表使用的时区，例如 Asia/Shanghai；默认为系统时区。"
            "Time zone of logs and charts, such as Asia/Shanghai; the system's when empty."
            "ログとグラフのタイムゾーン（例：Asia/Tokyo）。空の場合はシステムの設定に従います。"
    }
    Security {
        AUTH_KEY auth_key: Option<Secret> = "" { secrecy: Secrecy::Secret }
            "管理密钥；为空时在首次启动时生成并保存在数据目录。"
            "Management key; when empty, one is generated at the first start and kept in the data folder."
            "管理キー。空の場合は初回起動時に生成し、データフォルダーに保存します。"
        ENCRYPTION_KEY encryption_key: Option<Secret> = "" { secrecy: Secrecy::Secret }
            "加密数据库中密钥的口令；为空时以明文存储。"
            "Passphrase that encrypts keys in the database; they are plain text when it is empty."
            "データベース内のキーを暗号化するパスフレーズ。空の場合は平文で保存します。"
        ENCRYPTION_KEY_PREVIOUS encryption_key_previous: Option<Secret> = "" {
            secrecy: Secrecy::Secret,
        }
            "更换 ENCRYPTION_KEY 时的旧口令；用新口令启动一次后即可移除。"
            "The former passphrase at the start that changes ENCRYPTION_KEY; not needed from then on."
            "ENCRYPTION_KEY を変更する起動時に指定する以前のパスフレーズ。一度起動すれば不要です。"
        ALLOW_ANONYMOUS_PROXY allow_anonymous_proxy: bool = "false" { hot: true }
            "允许不带代理密钥的代理请求。"
            "Proxies requests that carry no proxy key."
            "プロキシキーのないリクエストも中継します。"
    }
    Storage {
        DATA_DIR data_dir: PathBuf = "./data" {}
            "存放数据库文件、日志缓冲和生成密钥的目录。"
            "Folder of the database file, the journal and generated keys."
            "データベースファイル、ジャーナル、生成したキーを置くフォルダー。"
        DATABASE_DSN database_dsn: String = "{data_dir}/gpt-load.db" {
            secrecy: Secrecy::Credentials,
            check: check_database,
        }
            "数据库：SQLite 文件路径、postgres://user:password@host:port/database（或 host=… user=…）、user:password@tcp(host:port)/database（MySQL、MariaDB）。"
            "The database: path of a SQLite file, postgres://user:password@host:port/database (or host=… user=…), user:password@tcp(host:port)/database (MySQL, MariaDB)."
            "データベース：SQLite のファイルパス、postgres://user:password@host:port/database（または host=… user=…）、user:password@tcp(host:port)/database（MySQL、MariaDB）。"
        DATABASE_READ_DSN database_read_dsn: Option<Secret> = "" {
            secrecy: Secrecy::Credentials,
            check: check_database,
        }
            "用于日志和仪表盘查询的只读副本，与 DATABASE_DSN 同类（PostgreSQL 或 MySQL）。"
            "Read replica for the queries of logs and dashboard, of the same kind as DATABASE_DSN (PostgreSQL or MySQL)."
            "ログとダッシュボードの照会に使う読み取り専用レプリカ。DATABASE_DSN と同じ種類（PostgreSQL または MySQL）です。"
        REDIS_DSN redis_dsn: Option<Secret> = "" { secrecy: Secrecy::Credentials, check: check_redis }
            "集群使用的 Redis（6.2 及以上）：redis://[用户:密码@]主机[:端口][/库]、rediss://（TLS）、unix:///路径，或哨兵 redis+sentinel://主机[:端口],…/服务名[/库]；为空表示单节点。需同时设置 AUTH_KEY 以及 PostgreSQL 或 MySQL。"
            "Redis (6.2 or newer) of a cluster: redis://[user:password@]host[:port][/database], rediss:// (TLS), unix:///path, or sentinels as redis+sentinel://host[:port],…/service[/database]; empty = a single node. Needs AUTH_KEY, and PostgreSQL or MySQL."
            "クラスターの Redis（6.2 以降）：redis://[ユーザー:パスワード@]ホスト[:ポート][/データベース]、rediss://（TLS）、unix:///パス、またはセンチネル redis+sentinel://ホスト[:ポート],…/サービス名[/データベース]。空の場合は単一ノードです。AUTH_KEY と、PostgreSQL または MySQL が必要です。"
        CLUSTER_NAME cluster_name: String = "default" { check: check::cluster_name }
            "集群名称；使用同一 Redis 的不同集群必须不同。"
            "Name of the cluster; different for clusters that share a Redis."
            "クラスターの名前。同じ Redis を使うクラスターごとに別の名前にします。"
        IS_SLAVE is_slave: bool = "false" {}
            "从节点：永不参选主节点；需要 REDIS_DSN。"
            "A follower: never stands for leader; needs REDIS_DSN."
            "フォロワーとして動作し、リーダーに立候補しません。REDIS_DSN が必要です。"
        NODE_NAME node_name: String = "{hostname}" {}
            "节点名称，在集群中必须唯一。"
            "Name of the node, unique in its cluster."
            "ノード名。クラスター内で一意にします。"
        NODE_ADDRESS node_address: String = "" { check: check::node_address }
            "其他节点访问本节点的地址（主机:端口）；为空时使用通往 Redis 的网卡地址和 PORT。"
            "Where the other nodes reach this one, host:port; empty = the address that leads to Redis, with PORT."
            "他のノードがこのノードに接続するアドレス（ホスト:ポート）。空の場合は Redis に通じるアドレスと PORT を使います。"
        JOURNAL_FSYNC journal_fsync: JournalFsync = "interval" {
            values: &["never", "interval", "always"],
        }
            "日志缓冲何时落盘：由系统决定、每秒或每条记录。"
            "When the journal reaches the disk: when the system decides, every second, or with each record."
            "ジャーナルをディスクに書き込む時期：システム任せ、毎秒、またはレコードごと。"
        JOURNAL_MAX_BYTES journal_max_bytes: u64 = "1GiB" { unit: Unit::Bytes, min: 1_048_576 }
            "日志缓冲的大小上限；写满后先丢弃最旧的请求日志。"
            "Size of the journal; when it is full the oldest request logs go first."
            "ジャーナルの最大サイズ。いっぱいになると最も古いリクエストログから破棄します。"
    }
    Proxy {
        DEFAULT_GROUP default_group: String = "default" { hot: true, check: check::group_name }
            "根路径入口（/v1/…）使用的分组。"
            "Group of the root entrance (/v1/…)."
            "ルートの入口（/v1/…）が使うグループ。"
        REPLAY_BUFFER_BYTES replay_buffer_bytes: usize = "16MiB" { unit: Unit::Bytes, hot: true }
            "为重试缓冲的请求体大小上限；更大的请求直接转发，不重试。"
            "Request bodies up to this size are kept for retries; larger ones stream through with one attempt."
            "再試行のために保持するリクエスト本文の上限。より大きい本文は 1 回だけ直接転送します。"
        MAX_REQUEST_BYTES max_request_bytes: u64 = "256MiB" { unit: Unit::Bytes, hot: true }
            "请求体大小上限，0 表示不限制；超出时返回 413。"
            "Largest request body; 0 = no limit. Larger ones are answered 413."
            "リクエスト本文の最大サイズ。0 は無制限です。超えると 413 を返します。"
        ALLOW_LINK_LOCAL_UPSTREAMS allow_link_local_upstreams: bool = "false" {}
            "允许上游和代理使用链路本地地址（云元数据服务）。"
            "Allows upstreams and proxies at link-local addresses (cloud metadata services)."
            "リンクローカルアドレス（クラウドのメタデータサービス）のアップストリームとプロキシを許可します。"
        EXTRA_CA_FILE extra_ca_file: Option<PathBuf> = "" {}
            "额外信任的根证书文件（PEM），用于上游、数据库和 Redis。"
            "PEM file with more roots to trust for upstreams, databases and Redis."
            "アップストリーム、データベース、Redis で追加に信頼するルート証明書の PEM ファイル。"
        HTTP_PROXY http_proxy: Option<Secret> = "" {
            former: &["http_proxy"],
            secrecy: Secrecy::Credentials,
            check: check::proxy_url,
        }
            "访问 http:// 上游使用的代理；设置项 proxy_url 优先。"
            "Proxy for http:// upstreams; the setting proxy_url rules over it."
            "http:// アップストリームに使うプロキシ。設定 proxy_url が優先します。"
        HTTPS_PROXY https_proxy: Option<Secret> = "" {
            former: &["https_proxy"],
            secrecy: Secrecy::Credentials,
            check: check::proxy_url,
        }
            "访问 https:// 上游使用的代理。"
            "Proxy for https:// upstreams."
            "https:// アップストリームに使うプロキシ。"
        ALL_PROXY all_proxy: Option<Secret> = "" {
            former: &["all_proxy"],
            secrecy: Secrecy::Credentials,
            check: check::proxy_url,
        }
            "没有更具体的代理时，所有上游使用的代理。"
            "Proxy for all upstreams without a more specific one."
            "個別の指定がないすべてのアップストリームに使うプロキシ。"
        NO_PROXY no_proxy: Vec<String> = "" { former: &["no_proxy"] }
            "不经代理访问的主机、域名后缀或网段；* 表示全部。"
            "Hosts, domain suffixes or networks that are reached without a proxy; * = all."
            "プロキシを使わないホスト、ドメインサフィックス、ネットワーク。* はすべてを表します。"
    }
    OneFile {
        KEYS_FILE keys_file: Option<PathBuf> = "{keys_file}" {}
            "每行一个密钥的文件，其密钥进入默认分组；默认使用存在的 keys.txt。"
            "File with one key per line for the default group; keys.txt when there is one."
            "1 行に 1 つのキーを書いたファイル。デフォルトグループに入ります。既定では存在する keys.txt を使います。"
        START_INDEX start_index: usize = "0" {}
            "轮询从第几个密钥开始。"
            "Key with which the rotation starts, from 0."
            "ローテーションを開始するキーの番号（0 から）。"
        OPENAI_BASE_URL openai_base_url: Vec<String> = "" { check: check::base_urls }
            "默认分组的上游地址，以逗号分隔，权重相同；每次启动时以此为准。"
            "Upstreams of the default group, separated by commas, of equal weight; rules at every start."
            "デフォルトグループのアップストリーム。カンマ区切りで重みは同じです。起動のたびにこの値が使われます。"
    }
    Cors {
        ENABLE_CORS enable_cors: bool = "false" {}
            "允许其他来源的网页访问。"
            "Lets pages of other origins call this node."
            "他のオリジンのページからの呼び出しを許可します。"
        ALLOWED_ORIGINS allowed_origins: Vec<String> = "" {}
            "允许的来源，* 表示全部。"
            "Origins that may call; * = all."
            "許可するオリジン。* はすべてを表します。"
        ALLOWED_METHODS allowed_methods: Vec<String> = "GET,POST,PUT,PATCH,DELETE,OPTIONS" {}
            "允许的方法。"
            "Methods that they may use."
            "許可するメソッド。"
        ALLOWED_HEADERS allowed_headers: Vec<String> = "*" {}
            "允许的请求头。"
            "Headers that they may send."
            "許可するヘッダー。"
        ALLOW_CREDENTIALS allow_credentials: bool = "false" {}
            "允许携带凭证。"
            "Whether they may send credentials."
            "資格情報の送信を許可します。"
    }
    Observability {
        LOG_LEVEL log_level: LevelFilter = "info" {
            values: &["trace", "debug", "info", "warn", "error", "off"],
            hot: true,
        }
            "日志级别。"
            "Least severe level that is logged."
            "記録するログの最低レベル。"
        LOG_FORMAT log_format: LogFormat = "text" { values: &["text", "json"] }
            "日志格式。"
            "Form of log lines."
            "ログの形式。"
        LOG_ENABLE_FILE log_enable_file: bool = "false" {}
            "除标准输出外，同时写入日志文件。"
            "Writes logs to a file as well as to standard output."
            "標準出力に加えてファイルにもログを書き込みます。"
        LOG_FILE_PATH log_file_path: PathBuf = "{data_dir}/logs/app.log" {}
            "日志文件；每天轮换，保留 7 个。"
            "Log file; rotated daily, seven are kept."
            "ログファイル。毎日ローテーションし、7 個を保持します。"
        METRICS_TOKEN metrics_token: Option<Secret> = "" { secrecy: Secrecy::Secret, hot: true }
            "访问 /metrics 的令牌；AUTH_KEY 始终可用。"
            "Token that opens /metrics; AUTH_KEY always does."
            "/metrics を開くトークン。AUTH_KEY でも常に開けます。"
        METRICS_PUBLIC metrics_public: bool = "false" { hot: true }
            "公开 /metrics。"
            "Opens /metrics to everyone."
            "/metrics を公開します。"
        OTEL_EXPORTER_OTLP_ENDPOINT otel_exporter_otlp_endpoint: Option<String> = "" { check: check::collector }
            "OpenTelemetry 采集器的地址，例如 http://collector:4318；设置后启用链路追踪。"
            "Collector of OpenTelemetry, such as http://collector:4318; switches traces on."
            "OpenTelemetry コレクターの URL（例：http://collector:4318）。設定するとトレースが有効になります。"
        OTEL_EXPORTER_OTLP_TRACES_ENDPOINT otel_exporter_otlp_traces_endpoint: Option<String> = "" {
            check: check::collector,
        }
            "仅用于链路追踪的完整地址；优先于 OTEL_EXPORTER_OTLP_ENDPOINT，不附加路径。"
            "The same for traces alone, used as it is; rules over OTEL_EXPORTER_OTLP_ENDPOINT."
            "トレース専用の URL。パスを付け足さずに使い、OTEL_EXPORTER_OTLP_ENDPOINT より優先します。"
        OTEL_EXPORTER_OTLP_PROTOCOL otel_exporter_otlp_protocol: String = "http/protobuf" {
            values: &["http/protobuf", "grpc"],
            check: check::otlp_protocol,
        }
            "发送链路数据的协议。"
            "How traces travel to the collector."
            "トレースを送るプロトコル。"
        OTEL_EXPORTER_OTLP_HEADERS otel_exporter_otlp_headers: Option<Secret> = "" { secrecy: Secrecy::Secret }
            "发送给采集器的请求头，形如 name=value，以逗号分隔，值使用百分号编码。"
            "Headers for the collector: name=value, separated by commas, values percent-encoded."
            "コレクターに送るヘッダー。name=value をカンマで区切り、値はパーセントエンコードします。"
        OTEL_EXPORTER_OTLP_TIMEOUT otel_exporter_otlp_timeout: u64 = "10000" { min: 1, max: 600_000 }
            "采集器接收一批数据的时限（毫秒）。"
            "Milliseconds that the collector may take over a batch."
            "コレクターが 1 回分のデータを受け取る制限時間（ミリ秒）。"
        OTEL_TRACES_SAMPLER otel_traces_sampler: String = "parentbased_always_on" {
            values: &[
                "always_on",
                "always_off",
                "traceidratio",
                "parentbased_always_on",
                "parentbased_always_off",
                "parentbased_traceidratio",
            ],
            check: check::sampler,
        }
            "记录哪些请求的链路；parentbased_* 遵循客户端 traceparent 中的决定。"
            "Which requests are traced; parentbased_* honour what the client's traceparent says."
            "トレースするリクエストの選び方。parentbased_* はクライアントの traceparent に従います。"
        OTEL_TRACES_SAMPLER_ARG otel_traces_sampler_arg: Option<String> = "" { check: check::share }
            "traceidratio 的采样比例，0 到 1。"
            "Share that traceidratio records, from 0 to 1."
            "traceidratio が記録する割合（0～1）。"
        OTEL_SERVICE_NAME otel_service_name: Option<String> = "" {}
            "链路数据中的服务名称；默认为 gpt-load。"
            "Name of the service in traces; gpt-load when empty."
            "トレースに付けるサービス名。空の場合は gpt-load です。"
        OTEL_RESOURCE_ATTRIBUTES otel_resource_attributes: Option<String> = "" {}
            "链路数据附带的属性，形如 name=value，以逗号分隔。"
            "Attributes of the node in traces: name=value, separated by commas."
            "トレースに付けるノードの属性。name=value をカンマで区切ります。"
        OTEL_BSP_MAX_QUEUE_SIZE otel_bsp_max_queue_size: usize = "2048" { min: 1, max: 1_000_000 }
            "等待发送的链路片段数上限；超出的被丢弃并计数。"
            "Spans that may wait for the collector; more are lost and counted."
            "送信待ちにできるスパンの数。超えた分は破棄して数えます。"
        OTEL_BSP_SCHEDULE_DELAY otel_bsp_schedule_delay: u64 = "5000" { min: 1, max: 600_000 }
            "链路片段发送前最多等待的毫秒数。"
            "Milliseconds that a span waits at most for others to travel with."
            "スパンがまとめて送られるまでに待つ最大のミリ秒数。"
        OTEL_TRACES_EXPORTER otel_traces_exporter: String = "otlp" {
            values: &["otlp", "none"],
            check: check::traces_exporter,
        }
            "none 关闭链路追踪。"
            "none switches traces off."
            "none でトレースを無効にします。"
        OTEL_SDK_DISABLED otel_sdk_disabled: bool = "false" {}
            "关闭链路追踪。"
            "Switches traces off."
            "トレースを無効にします。"
    }
}

/// The declaration of the variable `name`.
pub fn variable(name: &str) -> Option<&'static Variable> {
    VARIABLES.iter().find(|variable| variable.name == name)
}
