{{- define "redis-namespace-exporter.name" -}}
{{- .Values.nameOverride | default .Chart.Name | trunc 63 | trimSuffix "-" }}
{{- end }}

{{- /* The name of all objects: the name of the release, and that of the chart unless it is in it. */}}
{{- define "redis-namespace-exporter.fullname" -}}
{{- $name := .Values.nameOverride | default .Chart.Name }}
{{- $default := contains $name .Release.Name | ternary .Release.Name (printf "%s-%s" .Release.Name $name) }}
{{- .Values.fullnameOverride | default $default | trunc 63 | trimSuffix "-" }}
{{- end }}

{{- define "redis-namespace-exporter.selectorLabels" -}}
app.kubernetes.io/name: {{ include "redis-namespace-exporter.name" . | quote }}
app.kubernetes.io/instance: {{ .Release.Name | quote }}
{{- end }}

{{- /* All labels of an object, from the context and its own labels. Each key is there once. */}}
{{- define "redis-namespace-exporter.labels" -}}
{{- $context := first . }}
{{- $chart := $context.Chart }}
{{- $labels := include "redis-namespace-exporter.selectorLabels" $context | fromYaml }}
{{- $_ := set $labels "app.kubernetes.io/version" $chart.AppVersion }}
{{- $_ := set $labels "app.kubernetes.io/managed-by" $context.Release.Service }}
{{- $_ := set $labels "helm.sh/chart" (printf "%s-%s" $chart.Name $chart.Version | replace "+" "_" | trunc 63) }}
{{- toYaml (merge $labels (last .) $context.Values.commonLabels) }}
{{- end }}

{{- define "redis-namespace-exporter.serviceAccountName" -}}
{{- $default := .Values.serviceAccount.create | ternary (include "redis-namespace-exporter.fullname" .) "default" }}
{{- .Values.serviceAccount.name | default $default }}
{{- end }}

{{- /* The path of a key of a Secret, from a reference with `name` and `key`. */}}
{{- define "redis-namespace-exporter.secretPath" -}}
/secrets/{{ .name }}/{{ .key }}
{{- end }}

{{- /* Rejects URLs with passwords, which the ConfigMap would show. The message has no part of the URL. */}}
{{- define "redis-namespace-exporter.checkUrl" -}}
{{- if regexMatch "@|(?i)password *=" .url }}
{{- fail (printf "%s contains credentials, which would not be secret: see docs/operate/helm.md#secrets" .place) }}
{{- end }}
{{- end }}

{{- /* The sources of the volume with all Secrets that the values refer to, each key once. */}}
{{- define "redis-namespace-exporter.secretSources" -}}
{{- $references := list .Values.tls.caSecret .Values.tls.certSecret .Values.tls.keySecret }}
{{- $references = concat $references (list .Values.web.tls.certSecret .Values.web.tls.keySecret) }}
{{- $references = append $references .Values.web.basicAuth.passwordSecret }}
{{- range .Values.targets }}
{{- $references = append $references (.passwordSecret | default (dict "name" "")) }}
{{- end }}
{{- if not .Values.targets }}
{{- $references = append $references .Values.redis.passwordSecret }}
{{- end }}
{{- $byPath := dict }}
{{- range $references }}
{{- if .name }}
{{- $_ := set $byPath (printf "%s/%s" .name .key) . }}
{{- end }}
{{- end }}
{{- range $path := keys $byPath | sortAlpha }}
{{- $reference := get $byPath $path }}
- secret:
    name: {{ $reference.name | quote }}
    items:
      - { key: {{ $reference.key | quote }}, path: {{ $path | quote }} }
{{ end }}
{{- end }}

{{- /* The configuration file: `config`, and `targets` with the paths of their passwords. */}}
{{- define "redis-namespace-exporter.config" -}}
{{- $config := deepCopy .Values.config }}
{{- include "redis-namespace-exporter.checkUrl" (dict "url" (dig "sweep" "from" "" $config) "place" "config.sweep.from") }}
{{- $targets := list }}
{{- range $at, $values := .Values.targets }}
{{- include "redis-namespace-exporter.checkUrl" (dict "url" $values.url "place" (printf "targets[%d].url" $at)) }}
{{- $from := dig "sweep" "from" "" $values }}
{{- include "redis-namespace-exporter.checkUrl" (dict "url" $from "place" (printf "targets[%d].sweep.from" $at)) }}
{{- $target := omit $values "passwordSecret" }}
{{- with $values.passwordSecret }}
{{- $_ := set $target "password_file" (include "redis-namespace-exporter.secretPath" .) }}
{{- end }}
{{- $targets = append $targets $target }}
{{- end }}
{{- if $targets }}
{{- $_ := set $config "targets" $targets }}
{{- end }}
{{- toYaml $config }}
{{- end }}

{{- /* The environment of the exporter. */}}
{{- define "redis-namespace-exporter.env" -}}
{{- with .Values.redis }}
{{- if not $.Values.targets }}
{{- if .urlFrom }}
- name: REDIS_URL
  valueFrom:
    {{- toYaml .urlFrom | nindent 4 }}
{{- else if .url }}
{{- include "redis-namespace-exporter.checkUrl" (dict "url" .url "place" "redis.url") }}
- { name: REDIS_URL, value: {{ .url | quote }} }
{{- end }}
{{- with .username }}
- { name: REDIS_USER, value: {{ . | quote }} }
{{- end }}
{{- if .passwordSecret.name }}
- { name: REDIS_PASSWORD_FILE, value: {{ include "redis-namespace-exporter.secretPath" .passwordSecret | quote }} }
{{- end }}
{{- end }}
{{- end }}
{{- $files := dict "REDIS_EXPORTER_TLS_CA_CERT_FILE" .Values.tls.caSecret }}
{{- $_ := set $files "REDIS_EXPORTER_TLS_CLIENT_CERT_FILE" .Values.tls.certSecret }}
{{- $_ := set $files "REDIS_EXPORTER_TLS_CLIENT_KEY_FILE" .Values.tls.keySecret }}
{{- $_ := set $files "REDIS_EXPORTER_TLS_SERVER_CERT_FILE" .Values.web.tls.certSecret }}
{{- $_ := set $files "REDIS_EXPORTER_TLS_SERVER_KEY_FILE" .Values.web.tls.keySecret }}
{{- $_ := set $files "REDIS_EXPORTER_BASIC_AUTH_PASSWORD_FILE" .Values.web.basicAuth.passwordSecret }}
{{- range $variable, $reference := $files }}
{{- if $reference.name }}
- { name: {{ $variable }}, value: {{ include "redis-namespace-exporter.secretPath" $reference | quote }} }
{{- end }}
{{- end }}
{{- with .Values.tls.serverName }}
- { name: REDIS_EXPORTER_TLS_SERVER_NAME, value: {{ . | quote }} }
{{- end }}
{{- if .Values.tls.insecureSkipVerify }}
- { name: REDIS_EXPORTER_SKIP_TLS_VERIFICATION, value: "true" }
{{- end }}
{{- with .Values.web.basicAuth.username }}
- { name: REDIS_EXPORTER_BASIC_AUTH_USERNAME, value: {{ . | quote }} }
{{- end }}
{{- with .Values.scripts.files }}
{{- $paths := list }}
{{- range . }}
{{- $paths = append $paths (printf "/scripts/%s/%s" .configMap .key) }}
{{- end }}
- { name: REDIS_EXPORTER_SCRIPT, value: {{ join "," $paths | quote }} }
- { name: REDIS_EXPORTER_LUA_SCRIPT_READ_ONLY, value: {{ $.Values.scripts.readOnly | quote }} }
{{- end }}
{{- with .Values.extraEnv }}
{{ toYaml . }}
{{- end }}
{{- end }}
