//! Texts that people read, in every language of the API.

use super::locale::Text;

macro_rules! texts {
    ($($(#[$doc:meta])* $name:ident = $zh:literal, $en:literal, $ja:literal;)*) => {
        $($(#[$doc])* pub(super) const $name: Text = Text::new($zh, $en, $ja);)*
    };
}

texts! {
    /// Any success.
    SUCCESS = "操作成功", "Success", "成功しました";

    LOGIN_OK = "登录成功", "Signed in", "ログインしました";
    LOGIN_WRONG = "管理密钥错误", "The management key is wrong", "管理キーが正しくありません";
    LOGIN_MALFORMED =
        "请求格式错误：缺少 auth_key",
        "The request must be a JSON object with a non-empty auth_key",
        "auth_key を含む JSON オブジェクトが必要です";
    TOO_MANY_FAILURES =
        "失败次数过多，请在 {} 秒后重试",
        "Too many failed attempts; try again in {} s",
        "失敗回数が多すぎます。{} 秒後に再試行してください";

    TOKEN_EXPIRED =
        "该访问令牌已过期，请联系管理员更新",
        "This access token has expired; ask an admin for a new one",
        "このアクセストークンは期限切れです。管理者に更新を依頼してください";
    VIEWER_READS =
        "该访问令牌的角色为 viewer，只能查看；更改需要 admin 令牌或管理密钥",
        "The role of this access token is viewer, which may only read; changes need an admin token or the management key",
        "このアクセストークンの役割は viewer で、閲覧のみ可能です。変更には admin トークンまたは管理キーが必要です";
    VIEWER_SECRETS =
        "该内容包含密钥，仅 admin 令牌或管理密钥可以访问",
        "This shows secrets or changes something, which a viewer may not; it needs an admin token or the management key",
        "機密情報を含むため viewer は利用できません。admin トークンまたは管理キーが必要です";
    TOKEN_UNKNOWN = "访问令牌不存在", "The access token does not exist", "アクセストークンが存在しません";
    TOKEN_NAME_TAKEN = "访问令牌名称已存在", "An access token of this name exists already", "同名のアクセストークンが既に存在します";
    TOKEN_NAME =
        "名称必须为 1 到 {} 个可打印字符",
        "The name must have 1 to {} printable characters",
        "名前は 1～{} 文字の印字可能な文字でなければなりません";
    TOKEN_ROLE = "角色必须是 admin 或 viewer", "The role must be admin or viewer", "役割は admin または viewer でなければなりません";
    TOKEN_EXPIRY_PAST = "过期时间必须晚于当前时间", "The expiry must be in the future", "有効期限は未来の日時でなければなりません";
    TOKEN_DELETED = "访问令牌已删除", "Access token deleted", "アクセストークンを削除しました";

    GROUP_UNKNOWN = "分组不存在", "The group does not exist", "グループが存在しません";
    GROUP_NAME_TAKEN = "分组名称已存在", "A group of this name exists already", "同名のグループが既に存在します";
    GROUP_TYPE_UNKNOWN =
        "分组类型必须是 standard 或 aggregate",
        "The group type must be standard or aggregate",
        "グループ種別は standard または aggregate でなければなりません";
    CHANNEL_UNKNOWN =
        "渠道类型必须是 openai、openai-response、gemini、anthropic 之一",
        "The channel type must be one of openai, openai-response, gemini, anthropic",
        "チャネル種別は openai、openai-response、gemini、anthropic のいずれかでなければなりません";
    WEIGHT_NEGATIVE = "权重不能为负数", "The weight must not be negative", "重みは負の値にできません";
    UPSTREAMS_NULL =
        "upstreams 不能为 null",
        "upstreams must not be null; leave it out to keep them",
        "upstreams に null は指定できません。変更しない場合は省略してください";
    GROUP_RELIED_ON =
        "该分组是聚合分组的成员，不能修改此字段",
        "The group is a member of an aggregate group, which relies on this field; take it out of there first",
        "このグループは集約グループのメンバーのため、この項目は変更できません";
    GROUP_DELETED = "分组已删除", "Group deleted", "グループを削除しました";
    GROUP_DELETED_MEMBER =
        "分组已删除，并已从以下聚合分组中移除：{}",
        "Group deleted; it was removed from these aggregate groups: {}",
        "グループを削除し、次の集約グループから除外しました：{}";
    SUB_GROUPS_ADDED = "子分组已添加", "Sub-groups added", "サブグループを追加しました";
    SUB_GROUP_WEIGHT_SAVED = "子分组权重已更新", "Weight of the sub-group saved", "サブグループの重みを保存しました";
    SUB_GROUP_REMOVED = "子分组已移除", "Sub-group removed", "サブグループを除外しました";
    SUB_GROUPS_EMPTY =
        "至少需要指定一个子分组",
        "At least one sub-group must be given",
        "サブグループを一つ以上指定してください";
    SUB_GROUP_UNKNOWN = "分组 {} 不存在", "Group {} does not exist", "グループ {} が存在しません";
    SUB_GROUP_TWICE = "分组 {} 重复", "Group {} is given twice", "グループ {} が重複しています";
    SUB_GROUP_AGGREGATE =
        "聚合分组不能作为子分组",
        "An aggregate group cannot be a sub-group",
        "集約グループをサブグループにすることはできません";
    SUB_GROUP_CHANNEL =
        "子分组的渠道类型必须为 {}",
        "The sub-group must be of the aggregate's channel type, {}",
        "サブグループのチャネル種別は {} でなければなりません";
    SUB_GROUP_ENDPOINT =
        "所有子分组的验证路径必须相同：{}",
        "All sub-groups must have the same validation endpoint: {}",
        "すべてのサブグループの検証パスは同じでなければなりません：{}";
    SUB_GROUP_WEIGHT =
        "权重必须在 0 到 1000 之间",
        "The weight must be between 0 and 1000",
        "重みは 0 から 1000 の範囲でなければなりません";
    SUB_GROUP_MEMBER =
        "分组 {} 已是子分组",
        "Group {} is a sub-group of this aggregate already",
        "グループ {} は既にサブグループです";
    SUB_GROUP_NO_MEMBER =
        "该分组不是此聚合分组的子分组",
        "The group is no sub-group of this aggregate",
        "このグループは集約グループのサブグループではありません";
    GROUP_NOT_AGGREGATE =
        "该分组不是聚合分组",
        "The group is not an aggregate group",
        "このグループは集約グループではありません";
    COPY_KEYS_UNKNOWN =
        "copy_keys 必须是 none、valid_only 或 all",
        "copy_keys must be none, valid_only or all",
        "copy_keys は none、valid_only、all のいずれかでなければなりません";
    COPY_NAMES_TAKEN =
        "该分组的副本名称均已被占用",
        "All names for copies of this group are taken; rename or delete some",
        "このグループの複製に使える名前がすべて使用済みです";
    GROUPS_REORDERED = "分组排序已保存", "Group order saved", "グループの順序を保存しました";
    REORDER_EMPTY = "排序列表不能为空", "At least one group must be given", "グループを一つ以上指定してください";
    REORDER_ID = "分组 ID 不能为零", "The group id must not be zero", "グループ ID は 0 にできません";
    REORDER_TWICE = "分组 {} 重复", "Group {} is given twice", "グループ {} が重複しています";
    REORDER_SORT = "必须提供排序值，且不能为负数",
        "The position must be given and must not be negative",
        "順序は必須で、負の値にできません";
    REORDER_UNKNOWN = "分组 {} 不存在", "Group {} does not exist", "グループ {} が存在しません";
    UPSTREAMS_RULED =
        "上游地址由环境变量 OPENAI_BASE_URL 决定，请在环境中修改",
        "The upstreams of this group are ruled by OPENAI_BASE_URL; change them in the environment",
        "このグループのアップストリームは環境変数 OPENAI_BASE_URL で決まります。環境側で変更してください";

    POLICY_UNKNOWN = "策略不存在", "The policy does not exist", "ポリシーが存在しません";
    POLICY_NAME_TAKEN = "策略名称已存在", "A policy of this name exists already", "同名のポリシーが既に存在します";
    POLICY_TYPE_UNKNOWN =
        "策略类型必须是 retry、degradation、model_filter、rate_limit 之一",
        "The policy type must be one of retry, degradation, model_filter, rate_limit",
        "ポリシー種別は retry、degradation、model_filter、rate_limit のいずれかでなければなりません";
    POLICY_DELETED = "策略已删除", "Policy deleted", "ポリシーを削除しました";
    POLICY_DELETED_DETACHED =
        "策略已删除，并已从 {} 个分组中移除：{}",
        "Policy deleted; it was detached from {} groups: {}",
        "ポリシーを削除し、{} 個のグループから外しました：{}";
    POLICY_TWICE = "策略 {} 重复", "Policy {} is given twice", "ポリシー {} が重複しています";
    POLICIES_TOO_MANY =
        "一个分组最多 {} 个策略",
        "A group has at most {} policies",
        "一つのグループのポリシーは最大 {} 個です";
    POLICY_KEYS_OF_AGGREGATE =
        "聚合分组没有密钥，不能使用按密钥限流的策略，请附加到其子分组",
        "An aggregate group has no keys whose calls this policy could count; attach it to the sub-groups",
        "集約グループにはキーがないため、キー単位の制限は適用できません。サブグループに適用してください";
    POLICY_KEYS_OF_ATTACHED =
        "该策略已附加到聚合分组 {}，聚合分组没有密钥",
        "The policy is attached to the aggregate group {}, which has no keys of its own",
        "このポリシーはキーを持たない集約グループ {} に適用されています";
    EVALUATE_WHAT =
        "group_id 和 policy 必须且只能提供一个",
        "Exactly one of group_id and policy must be given",
        "group_id と policy はどちらか一つだけ指定してください";
    EVALUATE_STATUS = "状态码必须在 100 至 599 之间", "The status must be from 100 to 599", "ステータスは 100～599 で指定してください";
    EVALUATE_CLASS = "结果类别必须是 {} 之一", "The class must be one of {}", "クラスは {} のいずれかでなければなりません";
    EVALUATE_COUNT = "计数不能为负数", "A count must not be negative", "回数は負の値にできません";
    SUB_GROUP_FOREIGN =
        "该分组不是此聚合分组的子分组",
        "The group is no sub-group of the aggregate group",
        "このグループは集約グループのサブグループではありません";

    STATUS_UNKNOWN =
        "状态必须是 {} 之一",
        "The status must be one of {}",
        "状態は {} のいずれかでなければなりません";
    FORMAT_UNKNOWN =
        "format 必须是 txt 或 json",
        "The format must be txt or json",
        "format は txt または json でなければなりません";
    NEW_KEY_STATE_UNKNOWN =
        "new_key_state 必须是 pending 或 active",
        "new_key_state must be pending or active",
        "new_key_state は pending または active でなければなりません";
    KEYS_TOO_MANY =
        "一次最多处理 {} 个密钥",
        "At most {} keys can be given at once",
        "一度に処理できるキーは最大 {} 個です";
    KEYS_TWO_FORMS =
        "keys_text、keys、key_values 只能提供其中一个",
        "Exactly one of keys_text, keys and key_values may be given",
        "keys_text、keys、key_values はいずれか一つだけ指定してください";
    KEYS_ON_AGGREGATE =
        "聚合分组不能拥有密钥，请添加到其子分组",
        "An aggregate group has no keys of its own; add them to one of its sub-groups",
        "集約グループにキーは追加できません。サブグループに追加してください";
    KEYS_RESTORED = "已恢复 {} 个密钥", "{} keys restored", "{} 個のキーを復元しました";
    KEYS_CLEARED_INVALID = "已清除 {} 个无效密钥", "{} invalid keys deleted", "無効なキーを {} 個削除しました";
    KEYS_CLEARED = "已清除 {} 个密钥", "{} keys deleted", "{} 個のキーを削除しました";
    KEY_NOT_IN_GROUP =
        "该密钥不在此分组中",
        "The group does not have this key",
        "このキーはグループに存在しません";
    KEY_NOT_ASKED =
        "该密钥在测试期间被删除或更改",
        "The key was deleted or restored during the test",
        "テスト中にキーが削除または復元されました";
    NO_KEYS_TO_VALIDATE_ON_AGGREGATE =
        "聚合分组没有自己的密钥，请验证其子分组",
        "An aggregate group has no keys of its own; validate its sub-groups",
        "集約グループ自体にキーはありません。サブグループを検証してください";
    NOTHING_TO_VALIDATE = "没有可验证的密钥", "No key matches; nothing is to be validated", "検証対象のキーがありません";
    TASK_RUNNING =
        "已有任务正在运行，请等待其结束或取消",
        "A task is running; wait for its end or cancel it",
        "タスクが実行中です。終了を待つか、キャンセルしてください";
    NO_KEYS_GIVEN = "没有可处理的密钥", "There is no key to work on", "対象のキーがありません";
    UPLOAD_MALFORMED =
        "上传表单无法解析（{}）",
        "The upload cannot be read ({}); send multipart/form-data with group_id and file",
        "アップロードを解析できません（{}）";
    UPLOAD_GROUP =
        "group_id 必须是正整数",
        "group_id must be given as a positive whole number",
        "group_id は正の整数でなければなりません";
    UPLOAD_FILE_MISSING =
        "缺少文件，请以 file 字段上传",
        "The file is missing; upload it as the part file, with its name",
        "ファイルがありません。file としてアップロードしてください";
    UPLOAD_ONE_FILE = "只能上传一个文件", "Only one file can be uploaded at once", "ファイルは一つだけにしてください";
    UPLOAD_NOT_TXT =
        "仅支持 .txt 文件",
        "The name of the file must end in .txt",
        "ファイル名は .txt で終わる必要があります";
    UPLOAD_PART_TOO_LONG =
        "该字段不能超过 {} 字节",
        "This part may have at most {} bytes",
        "この項目は {} バイト以内でなければなりません";
    NO_LEADER =
        "目前没有可以执行更改的主节点；什么都没有改变，请几秒后重试",
        "No node leads the cluster at the moment; nothing was changed, try again in a few seconds",
        "現在、変更を実行できるリーダーがいません。何も変更されていません。数秒後に再試行してください";
    LEADER_LOST =
        "执行时与主节点的连接中断；请先查看更改是否已经生效",
        "The connection to the leading node broke while it worked; look whether the change was made before trying again",
        "処理中にリーダーとの接続が切れました。再試行する前に、変更が反映されたか確認してください";
    NO_TASK_RUNNING = "当前没有正在运行的任务", "No task is running", "実行中のタスクはありません";
    NUMBER_BETWEEN =
        "必须是 {} 到 {} 之间的整数",
        "Must be a whole number from {} to {}",
        "{} から {} までの整数でなければなりません";

    KEY_UNKNOWN = "密钥不存在", "The key does not exist", "キーが存在しません";
    KEY_CHANGE_EMPTY =
        "没有可更改的内容：请给出 state、weight、priority 或 upstream",
        "There is nothing to change: give state, weight, priority or upstream",
        "変更内容がありません。state、weight、priority、upstream のいずれかを指定してください";
    KEY_STATE_UNKNOWN =
        "state 必须是 active、degraded、disabled、invalid 之一",
        "state must be active (restore), degraded (enable a disabled key), disabled or invalid",
        "state は active、degraded、disabled、invalid のいずれかでなければなりません";
    KEY_NOT_DISABLED =
        "只有已禁用的密钥才能启用，该密钥当前为 {}",
        "Only a disabled key can be enabled; this one is {}",
        "有効化できるのは無効化されたキーだけです。このキーは {} です";
    KEY_WEIGHT_RANGE =
        "权重必须在 1 到 100 之间",
        "The weight must be between 1 and 100",
        "重みは 1 から 100 の範囲でなければなりません";
    KEY_PRIORITY_RANGE =
        "优先级必须在 -1000 到 1000 之间",
        "The priority must be between -1000 and 1000",
        "優先度は -1000 から 1000 の範囲でなければなりません";
    KEY_UPSTREAM_UNKNOWN =
        "该地址不是此分组的上游地址：{}",
        "This is no upstream of the group; its upstreams are: {}",
        "このグループのアップストリームではありません：{}";
    POOL_OF_AGGREGATE =
        "聚合分组没有自己的密钥，请查看其子分组",
        "An aggregate group has no keys of its own; ask for the pool of one of its sub-groups",
        "集約グループは自身のキーを持ちません。サブグループを指定してください";

    KEY_NOTES_TOO_LONG =
        "备注最多 {} 个字符",
        "Notes have at most {} characters",
        "メモは最大 {} 文字です";
    KEY_NOTES_SAVED = "备注已更新", "Notes saved", "メモを保存しました";

    LOG_REQUEST_UNKNOWN =
        "日志中没有该请求",
        "The log has no such request; its rows may be past their retention",
        "該当するリクエストはログにありません";
    LOG_ROW_UNKNOWN =
        "日志中没有该记录",
        "The log has no such row; it may be past its retention",
        "該当する行はログにありません";

    TOO_MANY_LISTENERS =
        "事件监听者过多，请关闭其他页面后重试",
        "Too many clients listen to events; close other pages and try again",
        "イベントの購読者が多すぎます。他のページを閉じてから再試行してください";
    NODE_STOPS = "节点正在停止", "The node is stopping", "ノードは停止中です";

    INTEGRATION_KEY_MISSING =
        "缺少 key 参数",
        "The query parameter key must hold a proxy key",
        "クエリパラメーター key にプロキシキーを指定してください";
    INTEGRATION_KEY_WRONG =
        "该代理密钥不可用于任何分组",
        "No group accepts this proxy key",
        "このプロキシキーを受け付けるグループはありません";

    CHART_SUCCESSES = "成功", "Success", "成功";
    /// The web UI looks for these words in the label of the thinner line.
    CHART_FAILURES = "失败", "Error", "エラー";
    INVALID_KEYS = "无效密钥数量", "Invalid keys", "無効なキーの数";

    GLOBAL_PROXY_KEY = "全局代理密钥", "Global proxy key", "グローバルプロキシキー";
    GROUP_PROXY_KEY = "分组代理密钥", "Group proxy key", "グループプロキシキー";
    SECRET_UNSET = "未设置 {}", "{} is not set", "{} が設定されていません";
    SECRET_UNSET_HINT =
        "请设置一个强随机值",
        "Set it to a strong random value; without it secrets are stored in the clear",
        "強力なランダム値を設定してください";
    SECRET_SHORT = "{} 长度不足（少于 {} 个字符）", "{} is too short: fewer than {} bytes", "{} が短すぎます（{} バイト未満）";
    SECRET_SHORT_HINT =
        "建议使用至少 32 个字符的随机值",
        "Use a random value of at least 32 bytes",
        "32 バイト以上のランダム値を使用してください";
    SECRET_COMMON =
        "{} 包含常见的弱密码词",
        "{} holds a word that guessers try first",
        "{} に推測されやすい単語が含まれています";
    SECRET_COMMON_HINT =
        "请避免使用常见单词，改用随机值",
        "Use a random value without common words",
        "一般的な単語を避け、ランダム値を使用してください";
    SECRET_PLAIN =
        "{} 复杂度不足",
        "{} holds too few kinds of characters",
        "{} の文字の種類が少なすぎます";
    SECRET_PLAIN_HINT =
        "建议混合使用大小写字母、数字和符号",
        "Mix capital and small letters, digits and other characters",
        "大文字・小文字・数字・記号を組み合わせてください";

    NOT_ENCRYPTED = "已设置 ENCRYPTION_KEY，但数据未加密", "ENCRYPTION_KEY is set, but the stored keys are not encrypted", "ENCRYPTION_KEY が設定されていますが、データは暗号化されていません";
    NOT_ENCRYPTED_HINT =
        "请停止服务并运行 migrate-keys --to 加密数据",
        "Stop the service and run gpt-load migrate-keys --to to encrypt them",
        "サービスを停止し、migrate-keys --to で暗号化してください";
    KEY_NOT_CONFIGURED = "数据已加密，但未设置 ENCRYPTION_KEY", "The stored keys are encrypted, but ENCRYPTION_KEY is not set", "データは暗号化されていますが、ENCRYPTION_KEY が設定されていません";
    KEY_NOT_CONFIGURED_HINT =
        "请设置加密时使用的 ENCRYPTION_KEY 并重启",
        "Set ENCRYPTION_KEY to the key they were encrypted with and restart",
        "暗号化に使用した ENCRYPTION_KEY を設定して再起動してください";
    KEY_MISMATCH = "ENCRYPTION_KEY 与数据不匹配", "ENCRYPTION_KEY does not open the stored keys", "ENCRYPTION_KEY がデータと一致しません";
    KEY_MISMATCH_HINT =
        "请改回原来的 ENCRYPTION_KEY，或运行 migrate-keys --from --to",
        "Set the former ENCRYPTION_KEY, or run gpt-load migrate-keys --from --to",
        "以前の ENCRYPTION_KEY に戻すか、migrate-keys --from --to を実行してください";

    NOT_ENCRYPTING =
        "数据未加密，没有可更换的数据密钥；请先运行 migrate-keys --to 启用加密",
        "Stored secrets are not encrypted, so there is no data key to rotate; gpt-load migrate-keys --to encrypts them",
        "データは暗号化されていないため、更新するデータキーがありません。先に migrate-keys --to で暗号化してください";
    ROTATION_RUNNING =
        "数据密钥正在更换，请等待其完成",
        "A rotation of the data key is running; wait for its end",
        "データキーの更新中です。完了をお待ちください";

    SETTINGS_SAVED = "设置已保存", "Settings saved", "設定を保存しました";
}
