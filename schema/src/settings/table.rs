//! The table of all dynamic settings: sections in order, settings in order within them.

use serde_json::Value;

use super::{
    declaration::{Category, Declaration, Kind, Text},
    declare::settings,
    values::Held,
};

settings! {
    app_url: Text {
        category: Category::Basic,
        default: "http://localhost:3001",
        required: true,
        group_override: false,
        name: Text::new("应用地址", "Application URL", "アプリケーション URL"),
        description: Text::new(
            "本服务对外的基础地址，用于拼接代理地址等链接。",
            "Address under which people and applications reach this installation; links are made from it.",
            "このサービスの公開アドレス。プロキシ URL などのリンクの生成に使われます。",
        ),
    }
    proxy_keys: Text {
        category: Category::Basic,
        required: true,
        secret: true,
        group_override: false,
        name: Text::new("全局代理密钥", "Global proxy keys", "グローバルプロキシキー"),
        description: Text::new(
            "可访问所有分组的代理密钥，多个密钥以逗号分隔。",
            "Proxy keys that open every group, separated by commas.",
            "すべてのグループにアクセスできるプロキシキー。複数の場合はカンマで区切ります。",
        ),
    }
    request_log_retention_days: Int {
        category: Category::Basic,
        default: "7",
        min: Some(0),
        required: true,
        unit: "days",
        group_override: false,
        name: Text::new("请求日志保留天数", "Request log retention", "リクエストログの保持日数"),
        description: Text::new(
            "请求日志在数据库中保留的天数，0 表示永久保留。",
            "Days for which request logs stay in the database; 0 = for ever.",
            "リクエストログをデータベースに保持する日数。0 は無期限です。",
        ),
    }
    request_log_write_interval_minutes: Int {
        category: Category::Basic,
        default: "1",
        min: Some(0),
        required: true,
        unit: "min",
        group_override: false,
        name: Text::new("请求日志写入间隔", "Request log write interval", "リクエストログの書き込み間隔"),
        description: Text::new(
            "请求日志最迟在多少分钟内写入数据库；通常两秒内即可写入。",
            "Upper bound for the time until a request log is in the database; normally it takes two seconds.",
            "リクエストログがデータベースに書き込まれるまでの上限時間（分）。通常は 2 秒以内に書き込まれます。",
        ),
    }
    audit_log_retention_days: Int {
        category: Category::Basic,
        default: "365",
        min: Some(0),
        required: true,
        unit: "days",
        group_override: false,
        name: Text::new("审计日志保留天数", "Audit log retention", "監査ログの保持日数"),
        description: Text::new(
            "审计日志（谁在何时更改了什么）在数据库中保留的天数，0 表示永久保留。",
            "Days for which the audit log, who changed what and when, stays in the database; 0 = for ever.",
            "監査ログ（誰がいつ何を変更したか）をデータベースに保持する日数。0 は無期限です。",
        ),
    }
    enable_request_body_logging: Bool {
        category: Category::Basic,
        default: "false",
        name: Text::new("记录请求体", "Log request bodies", "リクエスト本文の記録"),
        description: Text::new(
            "在请求日志中保存请求体和 User-Agent，会占用更多存储空间，并可能包含敏感内容。",
            "Keeps request bodies and user agents in the request log. Needs space and may hold private text.",
            "リクエスト本文と User-Agent をリクエストログに保存します。容量が増え、機密情報を含む可能性があります。",
        ),
    }
    request_timeout: Int {
        category: Category::Request,
        default: "600",
        min: Some(1),
        required: true,
        unit: "s",
        name: Text::new("请求超时", "Request timeout", "リクエストタイムアウト"),
        description: Text::new(
            "一次请求所有尝试的总时限；流式请求只计算到第一个事件为止。",
            "Time for all attempts of a request together; for a stream, until its first event.",
            "1 つのリクエストの全試行を合わせた制限時間。ストリームでは最初のイベントまでの時間です。",
        ),
    }
    connect_timeout: Int {
        category: Category::Request,
        default: "15",
        min: Some(1),
        required: true,
        unit: "s",
        name: Text::new("连接超时", "Connect timeout", "接続タイムアウト"),
        description: Text::new(
            "与上游建立连接的时限，包括出站代理。",
            "Time to connect to an upstream, an outbound proxy included.",
            "アップストリームへの接続を確立する制限時間（送信プロキシを含む）。",
        ),
    }
    idle_conn_timeout: Int {
        category: Category::Request,
        default: "120",
        min: Some(1),
        required: true,
        unit: "s",
        name: Text::new("空闲连接超时", "Idle connection timeout", "アイドル接続タイムアウト"),
        description: Text::new(
            "空闲的上游连接在被关闭之前保留的时间。",
            "How long an unused connection to an upstream is kept.",
            "使われていないアップストリーム接続を保持する時間。",
        ),
    }
    response_header_timeout: Int {
        category: Category::Request,
        default: "600",
        min: Some(1),
        required: true,
        unit: "s",
        former: &["RESPONSE_TIMEOUT"],
        name: Text::new("响应头超时", "Response header timeout", "レスポンスヘッダータイムアウト"),
        description: Text::new(
            "每次尝试等待上游响应头的时限。",
            "Time an attempt waits for the head of the upstream's answer.",
            "各試行でアップストリームのレスポンスヘッダーを待つ制限時間。",
        ),
    }
    max_idle_conns: Int {
        category: Category::Request,
        default: "100",
        min: Some(1),
        required: true,
        name: Text::new("最大空闲连接数", "Idle connections", "最大アイドル接続数"),
        description: Text::new(
            "为所有上游保留的空闲连接总数上限；不限制并发请求。",
            "Unused connections kept over all upstreams; does not limit concurrent requests.",
            "全アップストリームで保持するアイドル接続の上限。同時リクエスト数は制限しません。",
        ),
    }
    max_idle_conns_per_host: Int {
        category: Category::Request,
        default: "50",
        min: Some(1),
        required: true,
        former: &["MAX_SOCKETS"],
        name: Text::new("每主机最大空闲连接数", "Idle connections per host", "ホストごとの最大アイドル接続数"),
        description: Text::new(
            "为每个上游主机保留的空闲连接数上限。",
            "Unused connections kept for each upstream host.",
            "アップストリームホストごとに保持するアイドル接続の上限。",
        ),
    }
    proxy_url: Text {
        category: Category::Request,
        secret: true,
        name: Text::new("出站代理地址", "Outbound proxy", "送信プロキシ"),
        description: Text::new(
            "访问上游时使用的 HTTP、HTTPS 或 SOCKS5 代理；为空时使用环境变量中的代理。",
            "HTTP, HTTPS or SOCKS5 proxy for upstream calls; empty = the one of the environment.",
            "アップストリームへのアクセスに使う HTTP、HTTPS、SOCKS5 プロキシ。空の場合は環境変数のプロキシを使います。",
        ),
    }
    max_retries: Int {
        category: Category::Key,
        default: "3",
        min: Some(0),
        required: true,
        name: Text::new("最大重试次数", "Retries", "最大リトライ回数"),
        description: Text::new(
            "一次请求失败后最多换用其他密钥重试的次数，0 表示不重试。",
            "Further attempts, with other keys, after a failed one; 0 = none.",
            "試行が失敗した後に別のキーで再試行する最大回数。0 は再試行なしです。",
        ),
    }
    blacklist_threshold: Int {
        category: Category::Key,
        default: "3",
        min: Some(0),
        required: true,
        name: Text::new("禁用阈值", "Failure threshold", "無効化のしきい値"),
        description: Text::new(
            "密钥连续失败多少次后被暂时禁用，0 表示从不禁用。",
            "Counted failures in a row that disable a key for a while; 0 = never.",
            "キーを一時的に無効化する連続失敗回数。0 は無効化しません。",
        ),
    }
    failover_status_codes: Text {
        category: Category::Key,
        default: "401-403,408,425,429,500-599",
        name: Text::new("故障转移状态码", "Failover status codes", "フェイルオーバーステータスコード"),
        description: Text::new(
            "上游返回这些状态码时换用其他密钥重试，例如 401-403,429,500-599；为空表示不因状态码重试。",
            "Upstream statuses after which another key is tried, such as 401-403,429,500-599; empty = none.",
            "アップストリームがこれらのステータスを返したとき別のキーで再試行します（例：401-403,429,500-599）。空の場合は再試行しません。",
        ),
    }
    key_validation_interval_minutes: Int {
        category: Category::Key,
        default: "60",
        min: Some(1),
        required: true,
        unit: "min",
        name: Text::new("密钥验证间隔", "Key validation interval", "キー検証の間隔"),
        description: Text::new(
            "后台验证失效密钥的间隔；每次失败后加倍，最长 24 小时。",
            "Time between background validations of an invalid key; doubles per failure, up to 24 hours.",
            "無効なキーをバックグラウンドで検証する間隔。失敗するたびに倍増し、最長 24 時間です。",
        ),
    }
    key_validation_concurrency: Int {
        category: Category::Key,
        default: "10",
        min: Some(1),
        required: true,
        name: Text::new("密钥验证并发数", "Key validation concurrency", "キー検証の同時実行数"),
        description: Text::new(
            "每个分组同时进行的密钥验证数量。",
            "Validations of a group that run at the same time.",
            "グループごとに同時に実行するキー検証の数。",
        ),
    }
    key_validation_timeout_seconds: Int {
        category: Category::Key,
        default: "20",
        min: Some(1),
        required: true,
        unit: "s",
        name: Text::new("密钥验证超时", "Key validation timeout", "キー検証のタイムアウト"),
        description: Text::new(
            "单次密钥验证请求的时限。",
            "Time for the call that validates a key.",
            "キー検証リクエスト 1 回あたりの制限時間。",
        ),
    }
    new_key_state: Text {
        default: "pending",
        values: &["pending", "active"],
        required: true,
        name: Text::new("新密钥状态", "State of new keys", "新しいキーの状態"),
        description: Text::new(
            "新添加密钥的初始状态：pending 表示先验证再使用，active 表示立即使用。",
            "State in which a key is added: pending keys prove themselves first, active ones are used at once.",
            "追加したキーの初期状態。pending は検証してから使用し、active はすぐに使用します。",
        ),
    }
    key_selection: Text {
        default: "round_robin",
        values: &["round_robin", "weighted", "least_in_flight", "random", "sticky"],
        required: true,
        name: Text::new("密钥选择方式", "Key selection", "キーの選択方式"),
        description: Text::new(
            "选择密钥的方式：轮询、按权重、最少进行中请求、随机，或让同一用户固定使用同一密钥。",
            "How a key is chosen: in turn, by weight, least in flight, at random, or the same key for the same user.",
            "キーの選択方法。順番、重み付き、処理中が最少、ランダム、または同じ利用者に同じキーを使います。",
        ),
    }
    sticky_header: Text {
        name: Text::new("粘性请求头", "Sticky header", "スティッキーヘッダー"),
        description: Text::new(
            "选择方式为 sticky 时，值相同的该请求头使用同一密钥；为空时使用请求体中的用户标识。",
            "With sticky selection, requests with the same value of this header use the same key; empty = ids in the body.",
            "sticky 選択時、このヘッダーの値が同じリクエストは同じキーを使います。空の場合は本文中の識別子を使います。",
        ),
    }
    backoff_initial_seconds: Int {
        default: "60",
        min: Some(1),
        max: Some(86_400),
        required: true,
        unit: "s",
        name: Text::new("初始退避时间", "First backoff", "初回バックオフ時間"),
        description: Text::new(
            "密钥首次被禁用的时间，之后每次加倍。",
            "How long a key is disabled at first; doubles each time.",
            "キーが最初に無効化される時間。以後は毎回倍になります。",
        ),
    }
    backoff_max_seconds: Int {
        default: "1800",
        min: Some(1),
        max: Some(86_400),
        required: true,
        unit: "s",
        name: Text::new("最长退避时间", "Longest backoff", "最大バックオフ時間"),
        description: Text::new(
            "密钥每次被禁用的最长时间。",
            "The longest time for which failures disable a key.",
            "失敗によってキーが無効化される最長時間。",
        ),
    }
    cooldown_max_seconds: Int {
        default: "3600",
        min: Some(1),
        max: Some(86_400),
        required: true,
        unit: "s",
        name: Text::new("最长冷却时间", "Longest cooldown", "最大クールダウン時間"),
        description: Text::new(
            "密钥被限流后冷却的最长时间，即使服务商要求更久。",
            "The longest time for which a rate-limited key rests, whatever the provider asks for.",
            "レート制限されたキーを休ませる最長時間。プロバイダーがより長い時間を指定しても超えません。",
        ),
    }
    key_max_concurrency: Int {
        default: "0",
        min: Some(0),
        required: true,
        name: Text::new("单密钥最大并发", "Concurrency per key", "キーごとの最大同時実行数"),
        description: Text::new(
            "每个密钥同时进行的请求数上限，0 表示不限制。",
            "Requests in flight with one key; 0 = no limit.",
            "1 つのキーで同時に処理するリクエスト数の上限。0 は無制限です。",
        ),
    }
    key_rpm: Int {
        default: "0",
        min: Some(0),
        required: true,
        name: Text::new("单密钥每分钟请求数", "Requests per minute and key", "キーごとの毎分リクエスト数"),
        description: Text::new(
            "每个密钥每分钟的请求数上限，0 表示不限制。",
            "Requests per minute with one key; 0 = no limit.",
            "1 つのキーの 1 分あたりリクエスト数の上限。0 は無制限です。",
        ),
    }
    pool_guard: Bool {
        default: "true",
        name: Text::new("密钥池保护", "Pool guard", "プール保護"),
        description: Text::new(
            "许多密钥因同一原因失败且无一成功时，不禁用它们，以免服务商故障清空密钥池。",
            "Keeps keys in use when many of them fail for the same cause and none succeeds: an outage is not their fault.",
            "多くのキーが同じ原因で失敗し、成功が 1 つもないときはキーを無効化せず、障害でプールが空になるのを防ぎます。",
        ),
    }
    pool_guard_min_keys: Int {
        default: "3",
        min: Some(1),
        required: true,
        name: Text::new("密钥池保护最少密钥数", "Pool guard: keys", "プール保護の最小キー数"),
        description: Text::new(
            "触发保护所需的失败密钥数量。",
            "Failed keys that it takes to trip the pool guard.",
            "プール保護の発動に必要な失敗キーの数。",
        ),
    }
    pool_guard_percent: Int {
        default: "20",
        min: Some(1),
        max: Some(100),
        required: true,
        unit: "%",
        name: Text::new("密钥池保护比例", "Pool guard: share", "プール保護の割合"),
        description: Text::new(
            "触发保护所需的失败密钥占可用密钥的比例。",
            "Share of the selectable keys that must fail to trip the pool guard.",
            "プール保護の発動に必要な、選択可能なキーに占める失敗キーの割合。",
        ),
    }
    retry_budget_percent: Int {
        default: "50",
        min: Some(0),
        max: Some(1000),
        required: true,
        unit: "%",
        name: Text::new("重试预算", "Retry budget", "リトライ予算"),
        description: Text::new(
            "10 秒内重试次数占请求数的上限，每秒至少允许 10 次重试。",
            "Retries as a share of the requests of ten seconds; ten per second are always allowed.",
            "10 秒間のリクエスト数に対する再試行の上限割合。毎秒 10 回までは常に許可されます。",
        ),
    }
    retry_after_send: Bool {
        default: "true",
        name: Text::new("发送后重试", "Retry after sending", "送信後の再試行"),
        description: Text::new(
            "请求体已发送后发生连接重置或超时时，仍允许重试。",
            "Allows a retry when the connection failed after the request had been sent.",
            "リクエスト送信後に接続のリセットやタイムアウトが起きた場合も再試行を許可します。",
        ),
    }
    retry_empty_response: Bool {
        default: "false",
        name: Text::new("空响应重试", "Retry empty answers", "空の応答の再試行"),
        description: Text::new(
            "上游返回 200 但没有内容时，换用其他密钥重试。",
            "Tries another key when a 200 answer holds no content.",
            "ステータス 200 で内容が空の応答のとき、別のキーで再試行します。",
        ),
    }
    max_wait_ms: Int {
        default: "0",
        min: Some(0),
        max: Some(30_000),
        required: true,
        unit: "ms",
        name: Text::new("最长等待时间", "Longest wait", "最大待機時間"),
        description: Text::new(
            "所有密钥都在冷却时，请求最多等待多久；0 表示立即返回 429。",
            "How long a request waits for a key while all of them rest; 0 = answers 429 at once.",
            "すべてのキーがクールダウン中のとき、リクエストが待つ最長時間。0 は直ちに 429 を返します。",
        ),
    }
    stream_idle_timeout: Int {
        default: "300",
        min: Some(1),
        max: Some(3_600),
        required: true,
        unit: "s",
        name: Text::new("流空闲超时", "Stream idle timeout", "ストリームのアイドルタイムアウト"),
        description: Text::new(
            "流式响应在多久没有数据后视为中断。",
            "Silence after which a stream counts as broken.",
            "データが届かないストリームを切断とみなすまでの時間。",
        ),
    }
    breaker_threshold: Int {
        default: "5",
        min: Some(0),
        required: true,
        name: Text::new("熔断阈值", "Circuit breaker threshold", "サーキットブレーカーのしきい値"),
        description: Text::new(
            "上游连续故障多少次后暂停使用，0 表示不熔断。",
            "Faults in a row after which an upstream is left alone for a while; 0 = off.",
            "アップストリームを一時停止する連続障害回数。0 は無効です。",
        ),
    }
    auth_scheme: Text {
        default: "auto",
        values: &["auto", "bearer", "api-key"],
        required: true,
        name: Text::new("凭证方式", "Credential style", "認証方式"),
        description: Text::new(
            "发送密钥的方式；auto 对 Azure 主机使用 api-key 请求头。",
            "How the key is sent; auto uses the api-key header for Azure hosts.",
            "キーの送信方法。auto は Azure のホストに api-key ヘッダーを使います。",
        ),
    }
    upstream_http2: Bool {
        default: "false",
        name: Text::new("上游 HTTP/2", "HTTP/2 to upstreams", "アップストリームへの HTTP/2"),
        description: Text::new(
            "在上游支持时使用 HTTP/2。",
            "Uses HTTP/2 where the upstream offers it.",
            "アップストリームが対応している場合に HTTP/2 を使います。",
        ),
    }
    include_stream_usage: Bool {
        default: "false",
        name: Text::new("请求流式用量", "Ask for stream usage", "ストリームの使用量を要求"),
        description: Text::new(
            "在流式请求中加入 stream_options.include_usage，使服务商返回令牌用量。",
            "Adds stream_options.include_usage to streamed requests so that the provider reports tokens.",
            "ストリームリクエストに stream_options.include_usage を加え、プロバイダーにトークン数を報告させます。",
        ),
    }
    resource_ttl_days: Int {
        default: "30",
        min: Some(1),
        max: Some(365),
        required: true,
        unit: "days",
        group_override: false,
        name: Text::new("资源归属保留天数", "Resource memory", "リソース記憶日数"),
        description: Text::new(
            "记住文件、批处理、响应等由哪个密钥创建的天数。",
            "Days for which the key that made a file, batch or response is remembered.",
            "ファイル、バッチ、レスポンスなどを作成したキーを記憶する日数。",
        ),
    }
}
