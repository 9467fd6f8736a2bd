{{/* The name of the application. */}}
{{- define "suptree.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" -}}
{{- end -}}

{{/* The name of every object of the release, save those that the operator or the API fixes. */}}
{{- define "suptree.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 63 | trimSuffix "-" -}}
{{- else -}}
{{- $name := include "suptree.name" . -}}
{{- if contains $name .Release.Name -}}
{{- .Release.Name | trunc 63 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name $name | trunc 63 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{- define "suptree.serviceAccountName" -}}
{{- if .Values.serviceAccount.create -}}
{{- default (include "suptree.fullname" .) .Values.serviceAccount.name -}}
{{- else -}}
{{- default "default" .Values.serviceAccount.name -}}
{{- end -}}
{{- end -}}

{{/* What tells the operator's pods apart; a Deployment's selector never changes, so neither may this. */}}
{{- define "suptree.selectorLabels" -}}
app.kubernetes.io/name: {{ include "suptree.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "suptree.ownLabels" -}}
{{ include "suptree.selectorLabels" . }}
app.kubernetes.io/component: operator
app.kubernetes.io/part-of: suptree
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-" }}
{{- end -}}

{{/* The labels of every object: the chart's own, and those of commonLabels that do not contradict them. */}}
{{- define "suptree.labels" -}}
{{ toYaml (merge (include "suptree.ownLabels" . | fromYaml) .Values.commonLabels) }}
{{- end -}}

{{- define "suptree.image" -}}
{{- with .Values.image -}}
{{- if .digest -}}
{{ .repository }}@{{ .digest }}
{{- else -}}
{{ .repository }}:{{ default $.Chart.AppVersion .tag }}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* "true" when the gate policy is part of the release: it is wanted, and the cluster has the API for it. */}}
{{- define "suptree.gate" -}}
{{- if and .Values.gate.enabled (semverCompare ">=1.36.0-0" .Capabilities.KubeVersion.Version) -}}
true
{{- end -}}
{{- end -}}

{{/* What the operator does in a namespace, and nothing else; each verb has its reason in docs/security.md. Unless recreate.enabled is set, only the index and Events are created. */}}
{{- define "suptree.rules" -}}
- apiGroups: [suptree.dev]
  resources: [supervisiontrees]
  verbs: [get, list, watch]
- apiGroups: [suptree.dev]
  resources: [supervisiontrees/status]
  verbs: [update]
- apiGroups: [""]
  resources: [pods]
  verbs: [list, watch, patch, delete]
- apiGroups: [apps]
  resources: [deployments, statefulsets, daemonsets, replicasets]
  verbs: [get, list, watch]
# To tell pods that go with their namespace from pods that somebody deleted.
- apiGroups: [""]
  resources: [namespaces]
  verbs: [get]
- apiGroups: [events.k8s.io]
  resources: [events]
  verbs: [create]
# The index that the gate policy reads. A rule cannot limit "create" by name: the name is not known before.
- apiGroups: [""]
  resources: [configmaps]
  verbs: [create]
- apiGroups: [""]
  resources: [configmaps]
  resourceNames: [suptree-index]
  verbs: [patch, delete]
{{- if .Values.recreate.enabled }}
# Jobs and bare Pods do not come back by themselves. Their manifests are kept in ControllerRevisions of the tree.
- apiGroups: [""]
  resources: [pods]
  verbs: [get, create]
- apiGroups: [batch]
  resources: [jobs]
  verbs: [get, list, watch, create, delete]
- apiGroups: [apps]
  resources: [controllerrevisions]
  verbs: [list, create, delete]
{{- end }}
{{- range .Values.scaleKinds }}
{{ toYaml (list (dict "apiGroups" (list .apiGroup) "resources" (list (printf "%s/scale" .resource)) "verbs" (list "get"))) }}
{{- end }}
{{- end -}}

{{/* What tells the operator's pods apart from all others of the release. */}}
{{- define "suptree.podSelector" -}}
{{ include "suptree.selectorLabels" . }}
app.kubernetes.io/component: operator
{{- end -}}

{{/* The name of the job that runs before an uninstallation. */}}
{{- define "suptree.uninstallName" -}}
{{- printf "%s-uninstall" (include "suptree.fullname" . | trunc 53 | trimSuffix "-") -}}
{{- end -}}

{{/* The service account of that job; empty when there is none: an account without rights would only make every uninstallation fail. */}}
{{- define "suptree.uninstallAccount" -}}
{{- if .Values.uninstallHook.enabled -}}
{{- default (ternary (include "suptree.uninstallName" .) "" .Values.rbac.create) .Values.uninstallHook.serviceAccountName -}}
{{- end -}}
{{- end -}}

{{/* The condition under which a policy looks at a request: it comes from an account that the chart gives Suptree. */}}
{{- define "suptree.isOurs" -}}
{{- $accounts := list (include "suptree.serviceAccountName" .) }}
{{- if eq (include "suptree.uninstallAccount" .) (include "suptree.uninstallName" .) }}
{{- $accounts = append $accounts (include "suptree.uninstallName" .) }}
{{- end -}}
- name: is-suptree
  expression: >-
    request.userInfo.username in [
    {{- range $index, $account := $accounts }}{{ if $index }}, {{ end }}'system:serviceaccount:{{ $.Release.Namespace }}:{{ $account }}'{{ end }}]
{{- end -}}

{{/* The labels of the job that runs before an uninstallation. Its name is another, so that no selector of the operator meets it. */}}
{{- define "suptree.ownHookLabels" -}}
app.kubernetes.io/name: {{ include "suptree.name" . }}-uninstall
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/component: uninstall
app.kubernetes.io/part-of: suptree
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-" }}
{{- end -}}

{{- define "suptree.hookLabels" -}}
{{ toYaml (merge (include "suptree.ownHookLabels" . | fromYaml) .Values.commonLabels) }}
{{- end -}}

{{/* What makes an object part of the uninstallation, given its weight. What a hook that failed left is there to be looked at. */}}
{{- define "suptree.hook" -}}
helm.sh/hook: pre-delete
helm.sh/hook-weight: {{ . | quote }}
helm.sh/hook-delete-policy: before-hook-creation,hook-succeeded
{{- end -}}
