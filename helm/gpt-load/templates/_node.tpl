{{/*
The StatefulSet of one role. Takes (dict "root" $ "role" "leader"|"follower" "values" <of the role> "replicas" <number, unless an autoscaler rules>).
A StatefulSet and not a Deployment because each node has a journal of its own and finds it again under its name.
*/}}
{{- define "gpt-load.node" -}}
{{- $root := .root -}}
{{- $v := $root.Values -}}
{{- $own := .values -}}
{{- $name := include "gpt-load.fullname" $root -}}
{{- $port := 3001 -}}
apiVersion: apps/v1
kind: StatefulSet
metadata:
  name: {{ $name }}-{{ .role }}
  labels:
    {{- include "gpt-load.labels" $root | nindent 4 }}
    app.kubernetes.io/component: {{ .role }}
spec:
  serviceName: {{ $name }}-nodes
  {{- if hasKey . "replicas" }}
  replicas: {{ .replicas }}
  {{- end }}
  # A node that does not come up must not keep the others from starting; updates go one by one all the same.
  podManagementPolicy: Parallel
  updateStrategy:
    type: RollingUpdate
  persistentVolumeClaimRetentionPolicy:
    whenScaled: {{ $v.persistence.whenScaled }}
    whenDeleted: {{ $v.persistence.whenDeleted }}
  selector:
    matchLabels:
      {{- include "gpt-load.selectorLabels" $root | nindent 6 }}
      app.kubernetes.io/component: {{ .role }}
  template:
    metadata:
      labels:
        {{- include "gpt-load.labels" $root | nindent 8 }}
        app.kubernetes.io/component: {{ .role }}
        {{- with $own.podLabels }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
      annotations:
        checksum/config: {{ toJson $v.config | sha256sum }}
        {{- with $own.podAnnotations }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
    spec:
      serviceAccountName: {{ include "gpt-load.serviceAccountName" $root }}
      automountServiceAccountToken: false
      enableServiceLinks: false
      terminationGracePeriodSeconds: {{ add (int $v.shutdown.graceSeconds) (int $v.shutdown.preStopSeconds) 10 }}
      {{- with $v.priorityClassName }}
      priorityClassName: {{ . }}
      {{- end }}
      {{- with $v.image.pullSecrets }}
      imagePullSecrets:
        {{- range . }}
        - name: {{ . }}
        {{- end }}
      {{- end }}
      securityContext:
        {{- toYaml $v.podSecurityContext | nindent 8 }}
      containers:
        - name: gpt-load
          image: {{ include "gpt-load.image" $root }}
          imagePullPolicy: {{ $v.image.pullPolicy }}
          securityContext:
            {{- toYaml $v.securityContext | nindent 12 }}
          ports:
            - name: http
              containerPort: {{ $port }}
          envFrom:
            - configMapRef:
                name: {{ $name }}
          env:
            - name: NODE_NAME
              valueFrom:
                fieldRef:
                  fieldPath: metadata.name
            - name: POD_IP
              valueFrom:
                fieldRef:
                  fieldPath: status.podIP
            # Where the other nodes reach this one.
            - name: NODE_ADDRESS
              value: "$(POD_IP):{{ $port }}"
            - name: IS_SLAVE
              value: {{ eq .role "follower" | quote }}
            {{- range $variable, $item := include "gpt-load.secretVariables" $root | fromYaml }}
            {{- $reference := get $v.secrets $item }}
            {{- if $reference.name }}
            - name: {{ $variable }}
              valueFrom:
                secretKeyRef:
                  name: {{ $reference.name }}
                  key: {{ $reference.key }}
            {{- end }}
            {{- end }}
            {{- with $v.extraEnv }}
            {{- toYaml . | nindent 12 }}
            {{- end }}
          {{- with $v.shutdown.preStopSeconds }}
          lifecycle:
            preStop:
              sleep:
                seconds: {{ . }}
          {{- end }}
          startupProbe:
            {{- include "gpt-load.probe" (list $root "/health/ready") | nindent 12 }}
            periodSeconds: 2
            timeoutSeconds: 5
            failureThreshold: {{ max 1 (div (int $v.probes.startupSeconds) 2) }}
          livenessProbe:
            {{- include "gpt-load.probe" (list $root "/health/live") | nindent 12 }}
            {{- toYaml $v.probes.liveness | nindent 12 }}
          readinessProbe:
            {{- include "gpt-load.probe" (list $root $v.probes.readinessPath) | nindent 12 }}
            {{- toYaml $v.probes.readiness | nindent 12 }}
          resources:
            {{- toYaml $own.resources | nindent 12 }}
          volumeMounts:
            - name: data
              mountPath: /app/data
            - name: tmp
              mountPath: /tmp
            {{- if $v.tls.existingSecret }}
            - name: tls
              mountPath: /app/tls
              readOnly: true
            {{- end }}
            {{- if $v.extraCa.configMap }}
            - name: extra-ca
              mountPath: /app/ca
              readOnly: true
            {{- end }}
            {{- with $v.extraVolumeMounts }}
            {{- toYaml . | nindent 12 }}
            {{- end }}
      volumes:
        - name: tmp
          emptyDir: {}
        {{- with $v.tls.existingSecret }}
        - name: tls
          secret:
            secretName: {{ . }}
            defaultMode: 0440
        {{- end }}
        {{- with $v.extraCa.configMap }}
        - name: extra-ca
          configMap:
            name: {{ . }}
        {{- end }}
        {{- with $v.extraVolumes }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
      {{- with $v.topologySpread.keys }}
      topologySpreadConstraints:
        {{- range . }}
        - topologyKey: {{ . }}
          maxSkew: 1
          whenUnsatisfiable: {{ $v.topologySpread.whenUnsatisfiable }}
          labelSelector:
            matchLabels:
              {{- include "gpt-load.selectorLabels" $root | nindent 14 }}
              app.kubernetes.io/component: {{ $.role }}
        {{- end }}
      {{- end }}
      {{- with $own.nodeSelector }}
      nodeSelector:
        {{- toYaml . | nindent 8 }}
      {{- end }}
      {{- with $own.affinity }}
      affinity:
        {{- toYaml . | nindent 8 }}
      {{- end }}
      {{- with $own.tolerations }}
      tolerations:
        {{- toYaml . | nindent 8 }}
      {{- end }}
  volumeClaimTemplates:
    - metadata:
        name: data
        {{- with $v.persistence.annotations }}
        annotations:
          {{- toYaml . | nindent 10 }}
        {{- end }}
      spec:
        accessModes: [{{ $v.persistence.accessMode }}]
        {{- with $v.persistence.storageClass }}
        storageClassName: {{ . | quote }}
        {{- end }}
        resources:
          requests:
            storage: {{ $v.persistence.size }}
{{- end }}
