//! The tables as diesel sees them; `migrations/` creates them. Times are milliseconds UTC in every database.
#![allow(missing_docs, unused_qualifications, reason = "the columns are documented where they are created")]

diesel::table! {
    leader_epoch (id) {
        id -> BigInt,
        epoch -> BigInt,
    }
}

diesel::table! {
    row_ids (name) {
        name -> Text,
        last_id -> BigInt,
    }
}

diesel::table! {
    encryption_keys (id) {
        id -> BigInt,
        purpose -> Text,
        wrapping -> Text,
        salt -> Text,
        rounds -> BigInt,
        wrapped_key -> Text,
        created_at -> BigInt,
    }
}

diesel::table! {
    system_settings (setting_key) {
        setting_key -> Text,
        setting_value -> Text,
        description -> Text,
        created_at -> BigInt,
        updated_at -> BigInt,
    }
}

diesel::table! {
    groups (id) {
        id -> BigInt,
        name -> Text,
        display_name -> Text,
        proxy_keys -> Text,
        description -> Text,
        group_type -> Text,
        upstreams -> Text,
        validation_endpoint -> Text,
        channel_type -> Text,
        sort -> BigInt,
        test_model -> Text,
        param_overrides -> Nullable<Text>,
        config -> Nullable<Text>,
        header_rules -> Nullable<Text>,
        model_redirect_rules -> Nullable<Text>,
        model_redirect_strict -> Bool,
        last_validated_at -> Nullable<BigInt>,
        created_at -> BigInt,
        updated_at -> BigInt,
    }
}

diesel::table! {
    group_sub_groups (group_id, sub_group_id) {
        group_id -> BigInt,
        sub_group_id -> BigInt,
        weight -> BigInt,
        created_at -> BigInt,
        updated_at -> BigInt,
    }
}

diesel::table! {
    policies (id) {
        id -> BigInt,
        name -> Text,
        description -> Text,
        #[sql_name = "type"]
        kind -> Text,
        config -> Text,
        priority -> BigInt,
        is_active -> Bool,
        created_at -> BigInt,
        updated_at -> BigInt,
    }
}

diesel::table! {
    group_policies (group_id, policy_id) {
        group_id -> BigInt,
        policy_id -> BigInt,
        priority -> BigInt,
        is_active -> Bool,
        created_at -> BigInt,
        updated_at -> BigInt,
    }
}

diesel::table! {
    api_keys (id) {
        id -> BigInt,
        key_value -> Text,
        key_hash -> Text,
        group_id -> BigInt,
        status -> Text,
        notes -> Text,
        request_count -> BigInt,
        failure_count -> BigInt,
        last_used_at -> BigInt,
        created_at -> BigInt,
        updated_at -> BigInt,
        last_failure_at -> Nullable<BigInt>,
        last_success_at -> Nullable<BigInt>,
        last_validated_at -> Nullable<BigInt>,
        disabled_until -> Nullable<BigInt>,
        resting_until -> Nullable<BigInt>,
        consecutive_failures -> Integer,
        backoff_level -> Integer,
        last_error_message -> Nullable<Text>,
        last_class -> Nullable<Text>,
        generation -> BigInt,
        weight -> Integer,
        priority -> Integer,
        upstream -> Nullable<Text>,
        source -> Text,
        last_rule -> Nullable<Text>,
        cooldown_level -> Integer,
        next_validation_at -> Nullable<BigInt>,
        validation_level -> Integer,
        model_health -> Nullable<Text>,
    }
}

diesel::table! {
    resources (group_id, resource_id) {
        group_id -> BigInt,
        resource_id -> Text,
        key_id -> BigInt,
        kind -> Text,
        created_at -> BigInt,
        expires_at -> BigInt,
    }
}

diesel::table! {
    outcome_proofs (node, key_id) {
        node -> Text,
        key_id -> BigInt,
        position -> BigInt,
    }
}

diesel::table! {
    node_watermarks (node) {
        node -> Text,
        incarnation -> Text,
        sequence -> BigInt,
        seen_at -> BigInt,
    }
}

diesel::table! {
    request_logs (id) {
        id -> Text,
        request_id -> Text,
        attempt -> Integer,
        timestamp -> BigInt,
        group_id -> BigInt,
        group_name -> Text,
        parent_group_id -> Nullable<BigInt>,
        parent_group_name -> Nullable<Text>,
        key_id -> Nullable<BigInt>,
        key_value -> Text,
        key_hash -> Text,
        model -> Text,
        upstream_model -> Nullable<Text>,
        outcome_class -> Nullable<Text>,
        evidence -> Nullable<Text>,
        is_success -> Bool,
        source_ip -> Text,
        status_code -> Integer,
        request_path -> Text,
        duration -> BigInt,
        first_byte_ms -> Nullable<BigInt>,
        error_message -> Text,
        user_agent -> Text,
        request_type -> Text,
        upstream_addr -> Text,
        is_stream -> Bool,
        request_body -> Text,
        input_tokens -> Nullable<BigInt>,
        output_tokens -> Nullable<BigInt>,
        cached_tokens -> Nullable<BigInt>,
        reasoning_tokens -> Nullable<BigInt>,
        finish_reason -> Nullable<Text>,
    }
}

diesel::table! {
    group_hourly_stats (group_id, time) {
        group_id -> BigInt,
        time -> BigInt,
        is_aggregate -> Bool,
        success_count -> BigInt,
        failure_count -> BigInt,
        created_at -> BigInt,
        updated_at -> BigInt,
        duration_ms -> Nullable<BigInt>,
    }
}

diesel::table! {
    access_tokens (id) {
        id -> BigInt,
        name -> Text,
        role -> Text,
        prefix -> Text,
        token_hash -> Text,
        expires_at -> Nullable<BigInt>,
        last_used_at -> Nullable<BigInt>,
        created_at -> BigInt,
        updated_at -> BigInt,
    }
}

diesel::table! {
    audit_log (id) {
        id -> BigInt,
        time -> BigInt,
        actor_kind -> Text,
        actor_id -> Nullable<BigInt>,
        actor_name -> Text,
        role -> Text,
        address -> Text,
        request_id -> Text,
        action -> Text,
        subject_type -> Text,
        subject_id -> Nullable<BigInt>,
        subject_name -> Text,
        values_before -> Nullable<Text>,
        values_after -> Nullable<Text>,
        outcome -> Text,
        error -> Text,
    }
}

diesel::table! {
    request_counts (group_id, time) {
        group_id -> BigInt,
        time -> BigInt,
        success_count -> BigInt,
        failure_count -> BigInt,
    }
}

diesel::table! {
    recasts (id) {
        id -> BigInt,
        purpose -> Text,
        stage -> Text,
        last_row -> Text,
        is_check -> Bool,
        processed -> BigInt,
        total -> BigInt,
        changed -> BigInt,
        unreadable -> BigInt,
        started_at -> BigInt,
        finished_at -> Nullable<BigInt>,
    }
}

diesel::table! {
    hourly_outcomes (group_id, time, class) {
        group_id -> BigInt,
        time -> BigInt,
        class -> Text,
        attempt_count -> BigInt,
        request_count -> BigInt,
        input_tokens -> BigInt,
        output_tokens -> BigInt,
        cached_tokens -> BigInt,
        reasoning_tokens -> BigInt,
    }
}

diesel::table! {
    takeovers (source) {
        source -> Text,
        progress -> Text,
        started_at -> BigInt,
        finished_at -> Nullable<BigInt>,
    }
}

diesel::table! {
    tasks (id) {
        id -> BigInt,
        task_type -> Text,
        group_name -> Text,
        owner -> Text,
        processed -> BigInt,
        total -> BigInt,
        result -> Nullable<Text>,
        error -> Nullable<Text>,
        is_cancelled -> Bool,
        started_at -> BigInt,
        finished_at -> Nullable<BigInt>,
        updated_at -> BigInt,
    }
}
