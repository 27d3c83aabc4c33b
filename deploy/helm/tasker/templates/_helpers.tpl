{{/* The name of the release's objects. */}}
{{- define "tasker.name" -}}
{{- if contains .Chart.Name .Release.Name }}{{ .Release.Name | trunc 50 | trimSuffix "-" }}{{ else }}{{ printf "%s-%s" .Release.Name .Chart.Name | trunc 50 | trimSuffix "-" }}{{ end }}
{{- end }}

{{/* The labels that select the pods of a service: (list . "backend") */}}
{{- define "tasker.selector" -}}
{{- $root := index . 0 -}}
app.kubernetes.io/name: {{ $root.Chart.Name }}
app.kubernetes.io/instance: {{ $root.Release.Name }}
app.kubernetes.io/component: {{ index . 1 }}
{{- end }}

{{/* The labels of an object: (list . "backend") */}}
{{- define "tasker.labels" -}}
{{- $root := index . 0 -}}
{{ include "tasker.selector" . }}
app.kubernetes.io/version: {{ $root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ $root.Release.Service }}
helm.sh/chart: {{ printf "%s-%s" $root.Chart.Name $root.Chart.Version }}
{{- end }}

{{/* http or https: the scheme of the listeners. */}}
{{- define "tasker.scheme" -}}
{{- if .Values.tls.existingSecret }}https{{ else }}http{{ end }}
{{- end }}

{{/* The address of Identity, as tokens name it. */}}
{{- define "tasker.issuer" -}}
{{- .Values.identity.issuer | default (printf "%s://%s-identity.%s.svc:%v" (include "tasker.scheme" .) (include "tasker.name" .) .Release.Namespace .Values.identity.service.port) }}
{{- end }}

{{/* The annotations and the security of a pod: (list . "backend") */}}
{{- define "tasker.podMetadata" -}}
{{- $root := index . 0 -}}
labels:
  {{- include "tasker.labels" . | nindent 2 }}
annotations:
  checksum/settings: {{ include (print $root.Template.BasePath "/settings.yaml") $root | sha256sum }}
  {{- if $root.Values.metrics.enabled }}
  prometheus.io/scrape: "true"
  prometheus.io/port: {{ $root.Values.metrics.port | quote }}
  {{- end }}
{{- end }}

{{- define "tasker.podSpec" -}}
automountServiceAccountToken: false
enableServiceLinks: false
securityContext:
  runAsNonRoot: true
  runAsUser: 10001
  runAsGroup: 10001
  fsGroup: 10001
  seccompProfile: {type: RuntimeDefault}
{{- with .Values.image.pullSecrets }}
imagePullSecrets: {{ toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.nodeSelector }}
nodeSelector: {{ toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.tolerations }}
tolerations: {{ toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.affinity }}
affinity: {{ toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{/* The image and the security of a container. */}}
{{- define "tasker.container" -}}
image: {{ printf "%s:%s" .Values.image.repository (.Values.image.tag | default .Chart.AppVersion) | quote }}
imagePullPolicy: {{ .Values.image.pullPolicy }}
securityContext:
  allowPrivilegeEscalation: false
  readOnlyRootFilesystem: true
  capabilities: {drop: [ALL]}
{{- end }}

{{/* The environment that every service has. */}}
{{- define "tasker.environment" -}}
- {name: TASKER__LOG__FORMAT, value: json}
{{- if .Values.metrics.enabled }}
- {name: TASKER__METRICS__LISTEN, value: "0.0.0.0:{{ .Values.metrics.port }}"}
- {name: TASKER__METRICS__ALLOW_PLAINTEXT, value: "true"}
{{- end }}
{{- end }}

{{/* The host names under which a service is reached, in the cluster and from outside: (list . "backend") */}}
{{- define "tasker.allowedHosts" -}}
{{- $root := index . 0 -}}
{{- $component := index . 1 -}}
{{- $values := index $root.Values $component -}}
{{- $service := printf "%s-%s" (include "tasker.name" $root) $component -}}
{{- $inNamespace := printf "%s.%s" $service $root.Release.Namespace -}}
{{- $names := list $service $inNamespace (printf "%s.svc" $inNamespace) (printf "%s.svc.cluster.local" $inNamespace) -}}
{{- if $values.ingress.enabled }}{{ $names = append $names $values.ingress.host }}{{ end -}}
{{- concat $names $values.allowedHosts | toJson -}}
{{- end }}

{{/* The environment of a listener: (list . "backend") */}}
{{- define "tasker.listener" -}}
{{- $root := index . 0 -}}
{{- $section := index . 1 | upper -}}
- {name: TASKER__{{ $section }}__ALLOWED_HOSTS, value: {{ include "tasker.allowedHosts" . | squote }}}
{{- if $root.Values.tls.existingSecret }}
- {name: TASKER__{{ $section }}__TLS_CERT, value: /etc/tasker/tls/tls.crt}
- {name: TASKER__{{ $section }}__TLS_KEY, value: /etc/tasker/tls/tls.key}
{{- else }}
- {name: TASKER__{{ $section }}__ALLOW_PLAINTEXT, value: "true"}
{{- end }}
{{- end }}

{{/* The probes of a service that listens on the port `http`. */}}
{{- define "tasker.probes" -}}
startupProbe:
  httpGet: {path: /health/live, port: http, scheme: {{ include "tasker.scheme" . | upper }}}
  periodSeconds: 2
  failureThreshold: 60
livenessProbe:
  httpGet: {path: /health/live, port: http, scheme: {{ include "tasker.scheme" . | upper }}}
  timeoutSeconds: 5
readinessProbe:
  httpGet: {path: /health/ready, port: http, scheme: {{ include "tasker.scheme" . | upper }}}
  periodSeconds: 5
  timeoutSeconds: 5
{{- end }}

{{- define "tasker.mounts" -}}
- {name: settings, mountPath: /etc/tasker/tasker.toml, subPath: tasker.toml, readOnly: true}
- {name: secrets, mountPath: /etc/tasker/secrets, readOnly: true}
{{- if .Values.tls.existingSecret }}
- {name: tls, mountPath: /etc/tasker/tls, readOnly: true}
{{- end }}
{{- end }}

{{/* The volumes, with the keys of the Secret that the service reads: (list . (list "database-url")) */}}
{{- define "tasker.volumes" -}}
{{- $root := index . 0 -}}
- name: settings
  configMap: {name: {{ include "tasker.name" $root }}-settings}
- name: secrets
  secret:
    secretName: {{ $root.Values.secrets.existingSecret }}
    items:
      {{- range index . 1 }}
      - {key: {{ . }}, path: {{ . }}}
      {{- end }}
{{- if $root.Values.tls.existingSecret }}
- name: tls
  secret: {secretName: {{ $root.Values.tls.existingSecret }}}
{{- end }}
{{- end }}
