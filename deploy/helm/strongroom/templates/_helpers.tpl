{{- define "strongroom.name" -}}
{{- if contains .Chart.Name .Release.Name }}{{ .Release.Name | trunc 63 | trimSuffix "-" }}{{ else }}{{ printf "%s-%s" .Release.Name .Chart.Name | trunc 63 | trimSuffix "-" }}{{ end }}
{{- end }}

{{- define "strongroom.selector" -}}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "strongroom.labels" -}}
{{ include "strongroom.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ .Chart.Name }}-{{ .Chart.Version }}
{{- end }}

{{/* How Kubernetes' probes ask. They show no certificate, so that one that is required would have every pod killed. */}}
{{- define "strongroom.scheme" -}}
{{- $required := printf "%v %s" (.Values.settings.STRONGROOM_TLS_CLIENT_AUTH | default "") (join " " .Values.extraArgs) }}
{{- if regexMatch "^required|--tls-client-auth[ =]required" $required }}
{{- fail "STRONGROOM_TLS_CLIENT_AUTH=required turns away the probes of Kubernetes: leave it out, and bind API keys to certificates" }}
{{- end }}
{{- ternary "HTTPS" "HTTP" (not (empty .Values.tls.secret)) }}
{{- end }}

{{- define "strongroom.pod" -}}
metadata:
  labels:
    {{- include "strongroom.labels" . | nindent 4 }}
  {{- with .Values.podAnnotations }}
  annotations:
    {{- toYaml . | nindent 4 }}
  {{- end }}
spec:
  # It asks nothing of Kubernetes.
  automountServiceAccountToken: false
  {{- with .Values.serviceAccountName }}
  serviceAccountName: {{ . | quote }}
  {{- end }}
  enableServiceLinks: false
  terminationGracePeriodSeconds: {{ .Values.terminationGracePeriodSeconds }}
  {{- with .Values.imagePullSecrets }}
  imagePullSecrets:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  securityContext:
    runAsNonRoot: true
    runAsUser: 65532
    runAsGroup: 65532
    # Secrets are root's files, and readable by this group alone. A volume is given to it once: each time would open the data folder
    # to the group, which the server refuses.
    fsGroup: 65532
    fsGroupChangePolicy: OnRootMismatch
    seccompProfile:
      type: RuntimeDefault
  containers:
    - name: strongroom
      image: "{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}"
      imagePullPolicy: {{ .Values.image.pullPolicy }}
      args:
        {{- concat (list "serve") .Values.extraArgs | toYaml | nindent 8 }}
      securityContext:
        allowPrivilegeEscalation: false
        readOnlyRootFilesystem: true
        capabilities:
          drop: [ALL]
      env:
        - name: STRONGROOM_LISTEN
          value: "0.0.0.0:7070"
        - name: STRONGROOM_DATA_DIR
          value: /var/lib/strongroom/data
        - name: STRONGROOM_LOG_FORMAT
          value: json
        {{- with .Values.externalUrl }}
        - name: STRONGROOM_EXTERNAL_URL
          value: {{ . | quote }}
        {{- end }}
        {{- if .Values.tls.secret }}
        - name: STRONGROOM_TLS_CERT
          value: /run/secrets/tls/tls.crt
        - name: STRONGROOM_TLS_KEY
          value: /run/secrets/tls/tls.key
        {{- else }}
        - name: STRONGROOM_PLAIN_HTTP
          value: "true"
        {{- end }}
        {{- if or .Values.rootKey.secret .Values.database.url }}
        # With a database the key always comes from outside: where no Secret has it, a first start finds no place to make one, which would
        # be gone with its pod.
        - name: STRONGROOM_ROOT_KEY_FILE
          value: /run/secrets/root-key/root.key
        {{- end }}
        {{- with .Values.database }}
        {{- if .url }}
        - name: STRONGROOM_DATABASE
          value: {{ .url | quote }}
        {{- if .passwordSecret }}
        - name: STRONGROOM_DATABASE_PASSWORD_FILE
          value: /run/secrets/database/password
        {{- end }}
        {{- if .caSecret }}
        - name: STRONGROOM_DATABASE_CA
          value: /run/secrets/database-ca/ca.crt
        {{- end }}
        {{- end }}
        {{- end }}
        {{- if .Values.metrics.enabled }}
        - name: STRONGROOM_METRICS_LISTEN
          value: "0.0.0.0:{{ .Values.metrics.port }}"
        {{- end }}
        # It answers until the last balancer knows that this pod ends.
        - name: STRONGROOM_DRAIN_DELAY
          value: {{ .Values.drainDelay | quote }}
        {{- range $name, $value := .Values.settings }}
        - name: {{ $name }}
          value: {{ $value | quote }}
        {{- end }}
      ports:
        - name: api
          containerPort: 7070
        {{- if .Values.metrics.enabled }}
        - name: metrics
          containerPort: {{ .Values.metrics.port }}
        {{- end }}
      # Until it listens, tables may be brought up to date: a quarter of an hour for that.
      startupProbe:
        httpGet:
          path: /healthz
          port: api
          scheme: {{ include "strongroom.scheme" . }}
        periodSeconds: 5
        failureThreshold: 180
        timeoutSeconds: 5
      # A sealed server lives, and is not ready.
      livenessProbe:
        httpGet:
          path: /healthz
          port: api
          scheme: {{ include "strongroom.scheme" . }}
        periodSeconds: 10
        timeoutSeconds: 5
      readinessProbe:
        httpGet:
          path: /readyz
          port: api
          scheme: {{ include "strongroom.scheme" . }}
        periodSeconds: 5
        timeoutSeconds: 5
      resources:
        {{- toYaml .Values.resources | nindent 8 }}
      volumeMounts:
        - name: data
          mountPath: /var/lib/strongroom
        {{- range $place := include "strongroom.secrets" . | fromYamlArray }}
        - name: {{ $place.name }}
          mountPath: /run/secrets/{{ $place.place }}
          readOnly: true
        {{- end }}
  {{- if or .Values.database.url (include "strongroom.secrets" .) }}
  volumes:
    {{- if .Values.database.url }}
    # Nothing in it has to stay.
    - name: data
      emptyDir:
        sizeLimit: 64Mi
    {{- end }}
    {{- range $place := include "strongroom.secrets" . | fromYamlArray }}
    - name: {{ $place.name }}
      secret:
        secretName: {{ $place.secret }}
        defaultMode: 0400
        {{- with $place.key }}
        items:
          - key: {{ . }}
            path: {{ $place.file }}
        {{- end }}
    {{- end }}
  {{- end }}
  {{- with .Values.affinity }}
  affinity:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  # Nodes of Strongroom on machines of their own, where there are enough.
  topologySpreadConstraints:
    - maxSkew: 1
      topologyKey: kubernetes.io/hostname
      whenUnsatisfiable: ScheduleAnyway
      labelSelector:
        matchLabels:
          {{- include "strongroom.selector" . | nindent 10 }}
  {{- with .Values.nodeSelector }}
  nodeSelector:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with .Values.tolerations }}
  tolerations:
    {{- toYaml . | nindent 4 }}
  {{- end }}
{{- end }}

{{/* Each Secret that is a file of the server: a volume's name, the folder, and which key becomes which file. */}}
{{- define "strongroom.secrets" -}}
{{- with .Values.rootKey.secret }}
- { name: root-key, place: root-key, secret: {{ . | quote }}, key: {{ $.Values.rootKey.key | quote }}, file: root.key }
{{- end }}
{{- if and .Values.database.url .Values.database.passwordSecret }}
- { name: database, place: database, secret: {{ .Values.database.passwordSecret | quote }}, key: {{ .Values.database.passwordKey | quote }}, file: password }
{{- end }}
{{- if and .Values.database.url .Values.database.caSecret }}
- { name: database-ca, place: database-ca, secret: {{ .Values.database.caSecret | quote }}, key: {{ .Values.database.caKey | quote }}, file: ca.crt }
{{- end }}
{{- with .Values.tls.secret }}
- { name: tls, place: tls, secret: {{ . | quote }} }
{{- end }}
{{- range .Values.secretMounts }}
- { name: {{ printf "more-%s" . | trunc 63 | trimSuffix "-" | quote }}, place: {{ . | quote }}, secret: {{ . | quote }} }
{{- end }}
{{- end }}
