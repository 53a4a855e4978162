{{/* Beside the labels that objects have in deploy/: who installed them. */}}
{{- define "herald.labels" -}}
app.kubernetes.io/name: herald
app.kubernetes.io/instance: {{ .Release.Name | quote }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service | quote }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | quote }}
{{- end }}

{{- define "herald.image" -}}
{{- $tag := .Values.image.tag | default .Chart.AppVersion -}}
{{- if .Values.image.digest -}}
{{ .Values.image.repository }}@{{ .Values.image.digest }}
{{- else -}}
{{ .Values.image.repository }}:{{ $tag }}
{{- end -}}
{{- end }}

{{/* An address and a port, as --http takes them. */}}
{{- define "herald.http" -}}
{{ .httpAddress }}:{{ .httpPort }}
{{- end }}

{{/* Whether an address is of the node alone. */}}
{{- define "herald.isLoopback" -}}
{{- if or (hasPrefix "127." .) (eq . "[::1]") -}}true{{- end -}}
{{- end }}
