{{/* Values that contradict each other. A schema could refuse them too, but not say why. */}}
{{- define "herald.checks" -}}
{{- $aws := .Values.aws -}}
{{- if not $aws.clusterName -}}
  {{- if eq .Values.defaultProvider "aws-nlb" -}}
    {{- fail "defaultProvider is aws-nlb, but aws.clusterName is empty: no balancers are made without the name that marks them" -}}
  {{- end -}}
  {{- if or $aws.region $aws.vpcId $aws.defaultTags (ne $aws.defaultScheme "internal") (ne $aws.defaultTargetType "instance") -}}
    {{- fail "values under aws are set, but aws.clusterName is empty: no balancers are made without the name that marks them" -}}
  {{- end -}}
{{- end -}}
{{- if not .Values.agent.enabled -}}
  {{- if eq .Values.defaultProvider "layer2" -}}
    {{- fail "agent.enabled is false, so nobody would announce addresses, but defaultProvider is layer2: choose node, aws-nlb or none, or leave the agents on" -}}
  {{- end -}}
  {{- if .Values.monitoring.serviceMonitor.agents -}}
    {{- fail "monitoring.serviceMonitor.agents is true, but agent.enabled is false: there is nothing to scrape" -}}
  {{- end -}}
{{- end -}}
{{- if .Values.monitoring.serviceMonitor.agents -}}
  {{- if not .Values.monitoring.serviceMonitor.enabled -}}
    {{- fail "monitoring.serviceMonitor.agents is true, but monitoring.serviceMonitor.enabled is false" -}}
  {{- end -}}
  {{- if include "herald.isLoopback" .Values.agent.httpAddress -}}
    {{- fail (printf "monitoring.serviceMonitor.agents is true, but agent.httpAddress is %s, which nobody reaches from outside its node: say 0.0.0.0 or [::]" .Values.agent.httpAddress) -}}
  {{- end -}}
{{- end -}}
{{- if include "herald.isLoopback" .Values.controller.httpAddress -}}
  {{- fail (printf "controller.httpAddress is %s, where the kubelet cannot ask for its health: say 0.0.0.0 or [::]" .Values.controller.httpAddress) -}}
{{- end -}}
{{- range $where := list "controller" "agent" -}}
  {{- if hasKey ((get $.Values $where).resources.limits | default dict) "cpu" -}}
    {{- fail (printf "%s.resources.limits has a CPU limit: throttling delays heartbeats and the renewal of the Lease, and so moves addresses and the lead under load; raise requests.cpu instead" $where) -}}
  {{- end -}}
{{- end -}}
{{- if and .Values.agent.enabled (eq (int .Values.agent.peerPort) (int .Values.agent.httpPort)) -}}
  {{- fail "agent.peerPort and agent.httpPort are the same; give each its own" -}}
{{- end -}}
{{- if and .Values.policies.nodePorts.enabled (not (semverCompare ">=1.36.0-0" .Capabilities.KubeVersion.Version)) -}}
  {{- fail (printf "policies.nodePorts needs MutatingAdmissionPolicy in version v1, which Kubernetes has since 1.36; this is %s. Herald does the same a moment later without it" .Capabilities.KubeVersion.Version) -}}
{{- end -}}
{{- $taken := dict
  "--default-provider" "defaultProvider" "--node-ports" "nodePorts" "--log-format" "logFormat" "--namespace" "the release's namespace"
  "--aws-cluster-name" "aws.clusterName" "--aws-region" "aws.region" "--aws-vpc-id" "aws.vpcId" "--aws-default-scheme" "aws.defaultScheme"
  "--aws-default-target-type" "aws.defaultTargetType" "--aws-default-tags" "aws.defaultTags" -}}
{{- include "herald.noneTaken" (dict "where" "controller" "args" .Values.controller.extraArgs "taken" (set $taken "--http" "controller.httpAddress and controller.httpPort")) -}}
{{- $taken := dict
  "--failover" "agent.failover" "--peer-port" "agent.peerPort" "--peer-key-file" "agent.peerKeySecret" "--log-format" "logFormat"
  "--namespace" "the release's namespace" "--node-name" "nothing: it is the node's" "--http" "agent.httpAddress and agent.httpPort" -}}
{{- include "herald.noneTaken" (dict "where" "agent" "args" .Values.agent.extraArgs "taken" $taken) -}}
{{- end }}

{{- define "herald.noneTaken" -}}
{{- range .args -}}
  {{- $flag := first (splitList "=" .) -}}
  {{- if hasKey $.taken $flag -}}
    {{- fail (printf "%s.extraArgs has %s; set %s instead" $.where $flag (get $.taken $flag)) -}}
  {{- end -}}
{{- end -}}
{{- end }}
