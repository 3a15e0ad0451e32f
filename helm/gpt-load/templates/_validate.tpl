{{/*
Refuses values that cannot work, each with the sentence that says why and what to set. Included by configmap.yaml, which every
release has.
*/}}
{{- define "gpt-load.validate" -}}
{{- $v := .Values -}}
{{- $leaders := int $v.leader.replicas -}}
{{- $followers := int (include "gpt-load.maxFollowers" .) -}}
{{- $nodes := add $leaders $followers -}}

{{- if eq $v.database.type "sqlite" }}
  {{- if gt $nodes 1 }}
    {{- fail (printf "%d nodes cannot share a SQLite database: it is a file in the volume of one pod. Set database.type to postgres or mysql with secrets.databaseDsn, or leave leader.replicas at 1 and have no followers." $nodes) }}
  {{- end }}
  {{- if $v.secrets.databaseDsn.name }}
    {{- fail "database.type is sqlite, but secrets.databaseDsn names a Secret: set database.type to postgres or mysql, or empty secrets.databaseDsn.name." }}
  {{- end }}
  {{- if $v.secrets.databaseReadDsn.name }}
    {{- fail "SQLite has no read replica: empty secrets.databaseReadDsn.name, or set database.type to postgres or mysql." }}
  {{- end }}
  {{- if $v.secrets.redisDsn.name }}
    {{- fail "a node with Redis is part of a cluster, which cannot use SQLite: set database.type to postgres or mysql with secrets.databaseDsn, or empty secrets.redisDsn.name." }}
  {{- end }}
{{- else if not $v.secrets.databaseDsn.name }}
  {{- fail (printf "database.type is %s, but nothing says where the database is: set secrets.databaseDsn.name to a Secret with the key %s." $v.database.type $v.secrets.databaseDsn.key) }}
{{- end }}

{{- if and (gt $nodes 1) (not $v.secrets.redisDsn.name) }}
  {{- fail (printf "%d nodes need Redis, through which they agree on a leader and tell each other what they learn of keys: set secrets.redisDsn.name to a Secret with the key %s, or run one node." $nodes $v.secrets.redisDsn.key) }}
{{- end }}
{{- if and $v.secrets.redisDsn.name (not $v.secrets.authKey.name) }}
  {{- fail (printf "the nodes of a cluster share one management key: set secrets.authKey.name to a Secret with the key %s." $v.secrets.authKey.key) }}
{{- end }}
{{- if and (gt $followers 0) (lt $leaders 1) }}
  {{- fail "followers never lead, so nobody would write to the database: set leader.replicas to 1 or more." }}
{{- end }}
{{- if and $v.secrets.encryptionKeyPrevious.name (not $v.secrets.encryptionKey.name) }}
  {{- fail "secrets.encryptionKeyPrevious is the passphrase before secrets.encryptionKey, which is not set; gpt-load migrate-keys takes encryption away." }}
{{- end }}

{{- with $v.follower.autoscaling }}
  {{- if .enabled }}
    {{- if gt (int .minReplicas) (int .maxReplicas) }}
      {{- fail (printf "follower.autoscaling.minReplicas (%d) is above maxReplicas (%d)." (int .minReplicas) (int .maxReplicas)) }}
    {{- end }}
    {{- if not (dig "requests" "cpu" "" $v.follower.resources) }}
      {{- fail "follower.autoscaling measures CPU against what was requested: set follower.resources.requests.cpu." }}
    {{- end }}
  {{- end }}
{{- end }}

{{- $secret := include "gpt-load.secretVariables" . | fromYaml -}}
{{- $set := dict "NODE_NAME" "the pod's name" "NODE_ADDRESS" "the pod's address" "IS_SLAVE" "leader and follower" "HOST" "the pod" "PORT" "service.port" "BASE_PATH" "basePath" "CLUSTER_NAME" "clusterName" "DATA_DIR" "persistence" "SERVER_GRACEFUL_SHUTDOWN_TIMEOUT" "shutdown.graceSeconds" "TLS_CERT_FILE" "tls.existingSecret" "TLS_KEY_FILE" "tls.existingSecret" "EXTRA_CA_FILE" "extraCa" -}}
{{- range $name, $value := $v.config }}
  {{- if hasKey $secret $name }}
    {{- fail (printf "config.%s would stand readable in a ConfigMap: put it into a Secret and set secrets.%s." $name (get $secret $name)) }}
  {{- end }}
  {{- if hasKey $set $name }}
    {{- fail (printf "config.%s is set by the chart, from %s." $name (get $set $name)) }}
  {{- end }}
{{- end }}

{{- if $v.serviceMonitor.enabled }}
  {{- if not (or $v.secrets.metricsToken.name $v.secrets.authKey.name (eq (toString (get $v.config "METRICS_PUBLIC")) "true")) }}
    {{- fail "serviceMonitor.enabled: /metrics answers 401 without a token. Set secrets.metricsToken.name, or config.METRICS_PUBLIC to \"true\" to open it to everyone." }}
  {{- end }}
{{- end }}
{{- if and $v.ingress.enabled (not $v.ingress.hosts) }}
  {{- fail "ingress.enabled needs ingress.hosts." }}
{{- end }}
{{- if and $v.externalSecret.enabled (not (and $v.externalSecret.store.name $v.externalSecret.remoteKey)) }}
  {{- fail "externalSecret.enabled needs externalSecret.store.name and externalSecret.remoteKey: where the secrets are." }}
{{- end }}
{{- end }}
