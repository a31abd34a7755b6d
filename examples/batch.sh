#!/bin/sh
# The whole way of one batch with curl: upload, create, poll, download.
#   BASE_URL=http://127.0.0.1:8000 examples/batch.sh examples/input.jsonl
set -eu
input=$1
job_id=${2:-job-xxxxxxxx}

field() { python3 -c 'import json, sys; print(json.load(sys.stdin)[sys.argv[1]] or "")' "$1"; }

file_id=$(curl -fsS -X POST "$BASE_URL/v1/files" -F "purpose=batch" -F "file=@$input" | field id)
batch_id=$(curl -fsS -X POST "$BASE_URL/v1/batches" -H "Content-Type: application/json" -d '{
    "input_file_id": "'"$file_id"'",
    "endpoint": "/v1/chat/completions",
    "completion_window": "unlimited",
    "job_id": "'"$job_id"'"
  }' | field id)

while :; do
    batch=$(curl -fsS "$BASE_URL/v1/batches/$batch_id")
    status=$(printf %s "$batch" | field status)
    echo "$batch_id: $status" >&2
    case $status in completed | failed | expired | cancelled) break ;; esac
    sleep 1
done

for name in output_file_id error_file_id; do
    id=$(printf %s "$batch" | field $name)
    [ -z "$id" ] || curl -fsS "$BASE_URL/v1/files/$id/content"
done
