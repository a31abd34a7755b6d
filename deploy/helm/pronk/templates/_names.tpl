{{- define "pronk.name" -}}
{{- .Release.Name | trunc 50 | trimSuffix "-" -}}
{{- end -}}

{{- define "pronk.labels" -}}
app.kubernetes.io/name: pronk
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "pronk.serviceAccount" -}}
{{- if .Values.serviceAccount.name -}}
{{- .Values.serviceAccount.name -}}
{{- else if .Values.serviceAccount.create -}}
{{- include "pronk.name" . -}}
{{- else -}}
default
{{- end -}}
{{- end -}}

{{/* What both kinds of pods share; called with a list: the root and the container's own variables. */}}
{{- define "pronk.container" -}}
{{- $root := index . 0 -}}
{{- $own := index . 1 -}}
image: "{{ $root.Values.image.repository }}:{{ $root.Values.image.tag | default $root.Chart.AppVersion }}"
imagePullPolicy: {{ $root.Values.image.pullPolicy }}
securityContext:
  allowPrivilegeEscalation: false
  readOnlyRootFilesystem: true
  capabilities:
    drop: [ALL]
env:
{{- range $name, $value := merge (dict) $own $root.Values.env }}
  - name: {{ $name }}
    value: {{ $value | toString | quote }}
{{- end }}
{{- if $root.Values.config }}
  - name: PRONK_CONFIG
    value: /etc/pronk/pronk.toml
{{- end }}
envFrom:
{{- range $root.Values.envFromSecrets }}
  - secretRef:
      name: {{ . }}
{{- end }}
volumeMounts:
  - name: data
    mountPath: /var/lib/pronk
  - name: tmp
    mountPath: /tmp
{{- if $root.Values.config }}
  - name: config
    mountPath: /etc/pronk
    readOnly: true
{{- end }}
{{- end -}}

{{- define "pronk.pod" -}}
enableServiceLinks: false
serviceAccountName: {{ include "pronk.serviceAccount" . }}
securityContext:
  runAsNonRoot: true
  runAsUser: 10001
  runAsGroup: 10001
  fsGroup: 10001
  seccompProfile:
    type: RuntimeDefault
volumes:
  - name: data
    emptyDir: {}
  - name: tmp
    emptyDir: {}
{{- if .Values.config }}
  - name: config
    configMap:
      name: {{ include "pronk.name" . }}
{{- end }}
{{- end -}}
