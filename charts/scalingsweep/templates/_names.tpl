{{- /* The release's name, with the chart's unless it says that already. */ -}}
{{- define "scalingsweep.name" -}}
{{- if contains .Chart.Name .Release.Name -}}
{{- .Release.Name | trunc 50 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name .Chart.Name | trunc 50 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{- define "scalingsweep.serviceAccount" -}}
{{- .Values.serviceAccount.name | default (include "scalingsweep.name" .) -}}
{{- end -}}

{{- /* What never changes over a release's life: a Deployment's selector cannot. */ -}}
{{- define "scalingsweep.selector" -}}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name | quote }}
{{- end -}}

{{- define "scalingsweep.labels" -}}
{{ include "scalingsweep.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ .Chart.Name }}-{{ .Chart.Version }}
{{- end -}}

{{- define "scalingsweep.image" -}}
{{- $repository := required "set image.repository: images/README.md says how to build the image and push it to a registry of yours" .Values.image.repository -}}
{{- printf "%s:%s" $repository (.Values.image.tag | default .Chart.AppVersion) -}}
{{- end -}}

{{- define "scalingsweep.workerImage" -}}
{{- $repository := required "set worker.image.repository: images/README.md says how to build the image and push it to a registry of yours" .Values.worker.image.repository -}}
{{- printf "%s:%s" $repository (.Values.worker.image.tag | default .Chart.AppVersion) -}}
{{- end -}}
