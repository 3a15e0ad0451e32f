{{- define "gpt-load.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 50 | trimSuffix "-" }}
{{- end }}

{{- define "gpt-load.fullname" -}}
{{- if .Values.fullnameOverride }}
{{- .Values.fullnameOverride | trunc 50 | trimSuffix "-" }}
{{- else if contains (include "gpt-load.name" .) .Release.Name }}
{{- .Release.Name | trunc 50 | trimSuffix "-" }}
{{- else }}
{{- printf "%s-%s" .Release.Name (include "gpt-load.name" .) | trunc 50 | trimSuffix "-" }}
{{- end }}
{{- end }}

{{- define "gpt-load.selectorLabels" -}}
app.kubernetes.io/name: {{ include "gpt-load.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "gpt-load.labels" -}}
{{ include "gpt-load.selectorLabels" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- with .Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{- define "gpt-load.serviceAccountName" -}}
{{- if .Values.serviceAccount.create }}
{{- default (include "gpt-load.fullname" .) .Values.serviceAccount.name }}
{{- else }}
{{- default "default" .Values.serviceAccount.name }}
{{- end }}
{{- end }}

{{- define "gpt-load.image" -}}
{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}
{{- end }}

{{/* The largest number of followers that there may be. */}}
{{- define "gpt-load.maxFollowers" -}}
{{- if .Values.follower.autoscaling.enabled }}{{ int .Values.follower.autoscaling.maxReplicas }}
{{- else }}{{ int .Values.follower.replicas }}{{ end }}
{{- end }}

{{- define "gpt-load.scheme" -}}
{{- if .Values.tls.existingSecret }}HTTPS{{ else }}HTTP{{ end }}
{{- end }}

{{/* A path below the node's prefix; takes (list root path). */}}
{{- define "gpt-load.path" -}}
{{- $root := index . 0 -}}
{{- printf "%s%s" (trimSuffix "/" $root.Values.basePath) (index . 1) }}
{{- end }}

{{/* Variables that are secrets, and their names in `secrets`. */}}
{{- define "gpt-load.secretVariables" -}}
AUTH_KEY: authKey
ENCRYPTION_KEY: encryptionKey
ENCRYPTION_KEY_PREVIOUS: encryptionKeyPrevious
DATABASE_DSN: databaseDsn
DATABASE_READ_DSN: databaseReadDsn
REDIS_DSN: redisDsn
PROXY_KEYS: proxyKeys
METRICS_TOKEN: metricsToken
{{- end }}

{{- define "gpt-load.probe" -}}
{{- $root := index . 0 -}}
httpGet:
  path: {{ include "gpt-load.path" (list $root (index . 1)) }}
  port: http
  scheme: {{ include "gpt-load.scheme" $root }}
{{- end }}
