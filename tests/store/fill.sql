-- A database with many of everything: each statement fills a table from the numbers `n`.

INSERT INTO project (id, name, created_at) SELECT 'proj_' || i, 'name ' || i, 0 FROM n;

INSERT INTO api_key (id, project_id, name, prefix, hash, scopes, created_at)
SELECT 'key_' || i, 'proj_' || i, '', '', 'hash' || i, '[]', 0 FROM n;

INSERT INTO file (id, project_id, purpose, filename, bytes, blob, created_at, expires_at)
SELECT 'file-' || i, 'proj_' || (i % 5), 'batch', '', 1, '', 0, 2000000000 + i FROM n;

INSERT INTO batch (id, project_id, job_id, job, pool, status, endpoint, input_file_id, completion_window, created_at, expires_at,
                   urgent_at, is_urgent, shards_pending, shards_running, turn, duty, duty_due_at, duty_lease_expires_at)
SELECT 'batch_' || i, 'proj_' || (CASE WHEN i < 100 THEN i % 5 ELSE i % 500 END), 'job-' || (i % 3), '{}', 'default',
       CASE WHEN i % 10 = 9 THEN 'validating' ELSE 'in_progress' END, '', 'file-' || i, '24h', 0, 2000000000 + i,
       CASE WHEN i % 2 = 0 THEN 2000000000 END, i % 2, 9, 1, i, CASE WHEN i % 10 = 9 THEN 'intake' END, i, 0 FROM n;

INSERT INTO shard (batch_id, number, state, first_line, line_count, byte_start, byte_count, worker_id, lease_expires_at)
SELECT 'batch_' || i, number, CASE WHEN number = 0 THEN 'running' ELSE 'pending' END, 1, 10, 0, 100,
       CASE WHEN number = 0 THEN 'worker_' || i END, 2000000000
  FROM n, (SELECT 0 AS number UNION SELECT 1 UNION SELECT 2 UNION SELECT 3 UNION SELECT 4 UNION SELECT 5 UNION SELECT 6
           UNION SELECT 7 UNION SELECT 8 UNION SELECT 9) AS numbers;

INSERT INTO share (pool, priority, parent, name, turn, is_active, version)
SELECT 'default', 0, '', 'proj_' || i, i, 1, 1 FROM n;

INSERT INTO share (pool, priority, parent, name, turn, is_active, version)
SELECT 'default', 0, 'proj_' || (i / 3), 'job-' || (i % 3), i, 1, 1 FROM n;

INSERT INTO idempotency (project_id, key, fingerprint, batch_id, created_at)
SELECT 'proj_' || i, 'k', 'f', 'b', 2000000000 FROM n;
