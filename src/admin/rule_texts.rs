//! The rules for groups in words of every language.

use gpt_load_schema::{settings::Language, validate};

use super::{error::FieldError, locale::Text};

/// A broken rule as the API tells it.
pub(super) fn field_error(broken: &validate::FieldError) -> FieldError {
    let text = Text::told(|language| {
        let rule = match (language, chinese_and_japanese(broken.code)) {
            (Language::Chinese, Some((chinese, _))) => chinese,
            (Language::Japanese, Some((_, japanese))) => japanese,
            _ => &broken.message,
        };
        format!("{}: {rule}", broken.field)
    });
    FieldError { field: broken.field.clone(), text }
}

/// The rule that `code` stands for; a code without words here is told in English.
fn chinese_and_japanese(code: &str) -> Option<(&'static str, &'static str)> {
    Some(match code {
        "group_name" => (
            "名称须为 1 至 100 个字符，仅限小写字母、数字、下划线和连字符",
            "名前は 1～100 文字の英小文字・数字・_・- で指定してください",
        ),
        "too_long" => ("内容过长", "長すぎます"),
        "control_character" => ("不能包含控制字符", "制御文字は使えません"),
        "test_model_empty" => ("测试模型不能为空", "テストモデルは必須です"),
        "upstreams_empty" => ("至少需要一个上游地址", "アップストリームを一つ以上指定してください"),
        "upstreams_all_off" => ("至少一个上游的权重须大于 0", "重みが 0 より大きいアップストリームが一つ以上必要です"),
        "upstream_weight" => ("权重过大", "重みが大きすぎます"),
        "upstream_url_empty" => ("上游地址不能为空", "アップストリームの URL は必須です"),
        "upstream_url_long" => ("上游地址过长", "アップストリームの URL が長すぎます"),
        "upstream_url_scheme" => {
            ("上游地址须以 http:// 或 https:// 开头", "URL は http:// または https:// で始めてください")
        }
        "upstream_url" => ("上游地址格式错误", "URL の形式が正しくありません"),
        "upstream_url_credentials" => {
            ("上游地址不能包含用户名或密码", "URL にユーザー名やパスワードを含めることはできません")
        }
        "upstream_url_query" => ("上游地址不能包含 ? 或 #", "URL に ? や # を含めることはできません"),
        "upstream_link_local" => ("上游不能是链路本地地址", "リンクローカルアドレスは指定できません"),
        "validation_endpoint" => (
            "验证路径须以 / 开头，且不含协议、主机、空格和 #",
            "検証パスは / で始め、スキーム・ホスト・空白・# を含めないでください",
        ),
        "redirects_on_aggregate" => ("聚合分组不能设置模型重定向", "集約グループにモデルリダイレクトは設定できません"),
        "redirect_model" => {
            ("重定向的两个模型名须为 1 至 255 个字符", "リダイレクトの両モデル名は 1～255 文字で指定してください")
        }
        "header_duplicate" => ("请求头重复", "ヘッダーが重複しています"),
        "header_name_long" => ("请求头名称过长", "ヘッダー名が長すぎます"),
        "header_name" => ("请求头名称含有非法字符", "ヘッダー名に使えない文字があります"),
        "header_connection" => ("该请求头由网关设置", "このヘッダーはゲートウェイだけが設定します"),
        "header_value_long" => ("请求头的值过长", "ヘッダー値が長すぎます"),
        "header_value" => ("请求头的值不能包含控制字符", "ヘッダー値に制御文字は使えません"),
        "header_action" => ("动作须为 set 或 remove", "アクションは set または remove にしてください"),
        "members_of_standard" => ("只有聚合分组才有子分组", "サブグループを持てるのは集約グループだけです"),
        "member_unknown" => ("分组不存在", "グループが存在しません"),
        "member_aggregate" => ("聚合分组不能嵌套", "集約グループの中に集約グループは入れられません"),
        "member_channel" => {
            ("子分组的渠道类型须与聚合分组一致", "サブグループのチャネルは集約グループと同じでなければなりません")
        }
        "member_twice" => ("分组重复", "グループが重複しています"),
        "member_weight" => ("权重过大", "重みが大きすぎます"),
        "policy_name" => {
            ("名称最多 100 个字符，不能为空，不能包含控制字符", "名前は 1～100 文字で、制御文字は使えません")
        }
        "policy_missing" => ("必须填写", "必須です"),
        "policy_type" => ("类型错误", "値の型が正しくありません"),
        "policy_word" => ("不是可用的取值", "使用できる値ではありません"),
        "policy_range" => ("须为允许范围内的整数", "許される範囲の整数で指定してください"),
        "policy_number" => ("须为整数", "整数で指定してください"),
        "policy_many" => ("元素过多", "要素が多すぎます"),
        "policy_empty" => ("不能为空", "空にできません"),
        "policy_operator" => {
            ("该条件类型不是数值，不能使用此运算符", "この条件の種別は数値ではないため、この演算子は使えません")
        }
        "policy_regex" => ("正则表达式无效或过大", "正規表現が正しくないか、大きすぎます"),
        "policy_duration" => {
            ("须为有效时长，例如 90s、5m、1h30m", "90s、5m、1h30m のような有効な時間で指定してください")
        }
        _ => return None,
    })
}
