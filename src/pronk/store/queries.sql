-- The statements of the store, by name. Values are :named. Lists are bounded and paged by key. `{{name}}` stands for the text
-- of that name. What is between /* and */ is for databases that lock rows. Rows are locked in the order shard, batch, share.

-- name: ensure_project
-- A project that exists stays as it is.
INSERT INTO project (id, name, created_at) VALUES (:id, :name, :now) ON CONFLICT DO NOTHING

-- name: list_moves
-- With add_move and drop_move: the program's table of legal moves, as the database's own.
SELECT from_status, to_status FROM batch_move

-- name: add_move
INSERT INTO batch_move (from_status, to_status) VALUES (:from_status, :to_status) ON CONFLICT DO NOTHING

-- name: drop_move
DELETE FROM batch_move WHERE from_status = :from_status AND to_status = :to_status

-- name: ping
-- Proof that the database answers.
SELECT 1 AS one

-- name: insert_file
INSERT INTO file (id, project_id, purpose, filename, bytes, blob, created_at, expires_at, sha256)
VALUES (:id, :project_id, :purpose, :filename, :bytes, :blob, :created_at, :expires_at, :sha256)

-- name: get_file
-- An expired file is gone for callers, even before the reaper comes by.
SELECT * FROM file WHERE id = :id AND project_id = :project_id AND (expires_at IS NULL OR expires_at > :now)

-- name: list_files_down
-- Newest first; ids sort by age.
SELECT * FROM file
 WHERE project_id = :project_id AND id < :after AND (expires_at IS NULL OR expires_at > :now)
 ORDER BY id DESC LIMIT :limit

-- name: list_files_down_of_purpose
SELECT * FROM file
 WHERE project_id = :project_id AND purpose = :purpose AND id < :after AND (expires_at IS NULL OR expires_at > :now)
 ORDER BY id DESC LIMIT :limit

-- name: list_files_up
-- Oldest first.
SELECT * FROM file
 WHERE project_id = :project_id AND id > :after AND (expires_at IS NULL OR expires_at > :now)
 ORDER BY id LIMIT :limit

-- name: list_files_up_of_purpose
SELECT * FROM file
 WHERE project_id = :project_id AND purpose = :purpose AND id > :after AND (expires_at IS NULL OR expires_at > :now)
 ORDER BY id LIMIT :limit

-- name: lock_file
-- Nobody makes a batch of a file while somebody decides to delete it.
SELECT id FROM file WHERE id = :id AND project_id = :project_id /* for update */

-- name: find_live_batch_of_file
-- The batch that still reads a file, if there is one.
SELECT id FROM batch
 WHERE input_file_id = :file_id AND status IN ('validating', 'in_progress', 'finalizing', 'cancelling') LIMIT 1

-- name: delete_file
DELETE FROM file WHERE id = :id AND project_id = :project_id RETURNING blob

-- name: list_expired_files
-- Files whose time is over and that no live batch reads.
SELECT * FROM file
 WHERE expires_at <= :now
   AND NOT EXISTS (SELECT 1 FROM batch WHERE batch.input_file_id = file.id
                      AND batch.status IN ('validating', 'in_progress', 'finalizing', 'cancelling'))
 ORDER BY expires_at LIMIT :limit

-- name: insert_batch
-- Zero rows: the file is gone. A second's wait for each megabyte puts the intake of small files before that of large ones
-- that came a little earlier, and lets nobody overtake for ever.
INSERT INTO batch (id, project_id, job_id, job, pool, priority, status, endpoint, model, input_file_id,
                   output_expires_after_seconds, completion_window, metadata, traceparent, created_at, expires_at,
                   urgent_at, duty, duty_due_at, duty_lease_expires_at)
SELECT :id, :project_id, :job_id, :job, :pool, :priority, 'validating', :endpoint, :model, id,
       :output_expires_after_seconds, :completion_window, :metadata, :traceparent, :created_at, :expires_at,
       :urgent_at, 'intake', :created_at + bytes / 1000000.0, 0
  FROM file WHERE id = :input_file_id AND project_id = :project_id /* for share */

-- name: with_counts
-- A text for others: the batches of `page`. Counts of one that runs are the sums of its shards; shards are gone once it
-- has ended.
SELECT page.*, live.completed AS live_completed, live.failed AS live_failed, live.input_tokens AS live_input,
       live.cached_tokens AS live_cached, live.output_tokens AS live_output, live.reasoning_tokens AS live_reasoning,
       (SELECT allow FROM project WHERE project.id = page.project_id) AS project_allow
  FROM page
  LEFT JOIN (SELECT batch_id, CAST(SUM(completed) AS BIGINT) AS completed, CAST(SUM(failed) AS BIGINT) AS failed,
                    CAST(SUM(input_tokens) AS BIGINT) AS input_tokens,
                    CAST(SUM(cached_tokens) AS BIGINT) AS cached_tokens,
                    CAST(SUM(output_tokens) AS BIGINT) AS output_tokens,
                    CAST(SUM(reasoning_tokens) AS BIGINT) AS reasoning_tokens
               FROM shard WHERE batch_id IN (SELECT id FROM page) GROUP BY batch_id) AS live ON live.batch_id = page.id
 ORDER BY page.id DESC

-- name: get_batch
WITH page AS MATERIALIZED (
    SELECT * FROM batch
     WHERE id = :id AND (CAST(:project_id AS TEXT) IS NULL OR project_id = CAST(:project_id AS TEXT)))
{{with_counts}}

-- name: get_claimed_batch
-- For a worker, to whom counts are nothing.
SELECT batch.*, NULL AS live_completed,
       (SELECT allow FROM project WHERE project.id = batch.project_id) AS project_allow
  FROM batch WHERE id = :id

-- name: list_batches
-- Newest first; ids sort by age.
WITH page AS MATERIALIZED (
    SELECT * FROM batch WHERE project_id = :project_id AND id < :after ORDER BY id DESC LIMIT :limit)
{{with_counts}}

-- name: list_batches_of_status
WITH page AS MATERIALIZED (
    SELECT * FROM batch WHERE project_id = :project_id AND status = :status AND id < :after ORDER BY id DESC LIMIT :limit)
{{with_counts}}

-- name: list_batches_of_job
WITH page AS MATERIALIZED (
    SELECT * FROM batch
     WHERE project_id = :project_id AND job_id = :job_id AND id < :after
       AND (CAST(:status AS TEXT) IS NULL OR status = CAST(:status AS TEXT))
     ORDER BY id DESC LIMIT :limit)
{{with_counts}}

-- name: count_batches_by_status
-- Those that have not ended, for the metrics.
SELECT status, COUNT(*) AS batches FROM batch
 WHERE status IN ('validating', 'in_progress', 'finalizing', 'cancelling') GROUP BY status

-- name: claim_key
-- One caller gets an idempotency key: who writes it first, or after its day is over.
INSERT INTO idempotency (project_id, key, fingerprint, batch_id, created_at)
VALUES (:project_id, :key, :fingerprint, :batch_id, :now)
ON CONFLICT (project_id, key) DO UPDATE
   SET fingerprint = excluded.fingerprint, batch_id = excluded.batch_id, created_at = excluded.created_at
 WHERE idempotency.created_at <= :since
RETURNING batch_id

-- name: find_key
SELECT fingerprint, batch_id, created_at FROM idempotency WHERE project_id = :project_id AND key = :key

-- name: forget_idempotent
DELETE FROM idempotency WHERE created_at <= :before

-- name: cancel_batch
-- Whole batch work starts anew as finalizing; whoever had the duty has lost it.
UPDATE batch SET status = 'cancelling', cancelling_at = :now, duty = 'finalize', duty_due_at = :now,
                 duty_attempt = duty_attempt + 1, duty_worker_id = NULL, duty_lease_expires_at = 0
 WHERE id = :id AND project_id = :project_id
   AND EXISTS (SELECT 1 FROM batch_move WHERE from_status = batch.status AND to_status = 'cancelling')

-- name: find_over
-- Windows that have ended. Found first and changed one by one: a planner that guesses wrong how many there are would read the
-- whole table.
SELECT id FROM batch WHERE status = 'in_progress' AND expires_at <= :now ORDER BY expires_at LIMIT 1000 /* skip locked */

-- name: expire_batch
-- What is journalled is kept, the rest gets a line of its own.
UPDATE batch SET status = 'finalizing', has_expired = 1, finalizing_at = :now, duty = 'finalize', duty_due_at = :now,
                 duty_worker_id = NULL, duty_lease_expires_at = 0
 WHERE id = :id AND status = 'in_progress'

-- name: stop_batch
-- Its input is not what was uploaded: what is journalled is kept, and the batch ends as failed.
UPDATE batch SET status = 'finalizing', errors = :errors, finalizing_at = :now, duty = 'finalize', duty_due_at = :now,
                 duty_worker_id = NULL, duty_lease_expires_at = 0
 WHERE id = :id AND status = 'in_progress'

-- name: find_urgent
-- Batches whose window has come to its last quarter.
SELECT id FROM batch WHERE status = 'in_progress' AND urgent_at <= :now ORDER BY urgent_at LIMIT 1000 /* skip locked */

-- name: mark_urgent
UPDATE batch SET is_urgent = 1, urgent_at = NULL WHERE id = :id

-- name: claim_duty
-- Whole-batch work that nobody holds, or that was given to `unheard` who never heard of it. A batch is not finalized while a
-- shard of it still runs.
UPDATE batch SET duty_attempt = duty_attempt + 1, duty_worker_id = :worker_id, duty_lease_expires_at = :until
 WHERE id = (SELECT id FROM batch
              WHERE duty IS NOT NULL AND (duty_lease_expires_at <= :now OR duty_worker_id = :unheard)
                AND (duty = 'intake' OR shards_running = 0)
              ORDER BY duty_due_at, id LIMIT 1 /* skip locked */)
RETURNING id, duty, duty_attempt

-- name: renew_duty
UPDATE batch SET duty_lease_expires_at = :until
 WHERE id = :id AND duty_attempt = :attempt AND duty_worker_id = :worker_id

-- name: release_duty
-- Given back by a worker that stops.
UPDATE batch SET duty_worker_id = NULL, duty_lease_expires_at = 0
 WHERE id = :id AND duty_attempt = :attempt AND duty_worker_id = :worker_id

-- name: insert_shard
INSERT INTO shard (batch_id, number, state, first_line, line_count, byte_start, byte_count, checksum)
VALUES (:batch_id, :number, 'pending', :first_line, :line_count, :byte_start, :byte_count, :checksum)

-- name: start_batch
-- The end of intake. Zero rows: the duty was lost or the batch was cancelled meanwhile. The batch starts level with the least
-- served one of its job, so that it neither waits for all nor starves any.
UPDATE batch SET status = 'in_progress', in_progress_at = :now, total = :total, model = :model,
                 shards_pending = :shards, duty = NULL, duty_worker_id = NULL, duty_lease_expires_at = NULL,
                 turn = COALESCE((SELECT MIN(other.turn) FROM batch AS other
                                   WHERE other.pool = batch.pool AND other.priority = batch.priority
                                     AND other.project_id = batch.project_id AND other.job_id = batch.job_id
                                     AND other.status = 'in_progress' AND other.shards_pending > 0), 0)
 WHERE id = :id AND status = 'validating' AND duty_attempt = :attempt AND duty_worker_id = :worker_id
RETURNING status, pool, priority, project_id, job_id

-- name: fail_batch
-- The end of intake for a file that cannot be run.
UPDATE batch SET status = 'failed', failed_at = :now, errors = :errors, model = :model,
                 duty = NULL, duty_worker_id = NULL, duty_lease_expires_at = NULL
 WHERE id = :id AND status = 'validating' AND duty_attempt = :attempt AND duty_worker_id = :worker_id

-- name: pick_batch
-- Whose turn it is: the highest priority, there the project that was served least, its job that was served least, of that the
-- batch that was served least. A null id: nothing to claim there, the shares are out of date.
WITH top AS MATERIALIZED (
    SELECT priority FROM batch WHERE pool = :pool AND status = 'in_progress' AND shards_pending > 0
     ORDER BY priority DESC LIMIT 1),
project AS MATERIALIZED (
    SELECT priority, name, version FROM share
     WHERE pool = :pool AND priority = (SELECT priority FROM top) AND parent = '' AND is_active = 1
     ORDER BY turn, name LIMIT 1),
job AS MATERIALIZED (
    SELECT name, version FROM share
     WHERE pool = :pool AND priority = (SELECT priority FROM top) AND parent = (SELECT name FROM project) AND is_active = 1
     ORDER BY turn, name LIMIT 1)
SELECT top.priority, project.name AS project_id, project.version AS project_version,
       job.name AS job_id, job.version AS job_version,
       (SELECT id FROM batch
         WHERE pool = :pool AND status = 'in_progress' AND shards_pending > 0
           AND priority = (SELECT priority FROM top) AND project_id = (SELECT name FROM project)
           AND job_id = (SELECT name FROM job)
         ORDER BY turn, id LIMIT 1) AS id
  FROM top LEFT JOIN project ON 1 = 1 LEFT JOIN job ON 1 = 1

-- name: list_level_projects
-- The projects of a priority that were served least, or by less than `slack` more.
SELECT name FROM share
 WHERE pool = :pool AND priority = :priority AND parent = '' AND is_active = 1
   AND turn < :slack + (SELECT turn FROM share
                         WHERE pool = :pool AND priority = :priority AND parent = '' AND is_active = 1
                         ORDER BY turn, name LIMIT 1)
 ORDER BY turn, name LIMIT 64

-- name: pick_of_project
-- Of one project at one priority, the batch whose turn it is. No row: it has nothing to claim there.
WITH job AS MATERIALIZED (
    SELECT name FROM share
     WHERE pool = :pool AND priority = :priority AND parent = :project_id AND is_active = 1
     ORDER BY turn, name LIMIT 1)
SELECT id FROM batch
 WHERE pool = :pool AND status = 'in_progress' AND shards_pending > 0
   AND priority = :priority AND project_id = :project_id AND job_id = (SELECT name FROM job)
 ORDER BY turn, id LIMIT 1

-- name: pick_urgent
-- Of the highest priority, the batch whose window ends first, among those in the last quarter of their window.
SELECT id FROM batch
 WHERE pool = :pool AND status = 'in_progress' AND shards_pending > 0 AND is_urgent = 1
   AND priority = (SELECT priority FROM batch WHERE pool = :pool AND status = 'in_progress' AND shards_pending > 0
                    ORDER BY priority DESC LIMIT 1)
 ORDER BY expires_at, id LIMIT 1

-- name: pick_any
-- Shares only say who is next: a batch that they do not know is served all the same.
SELECT id, pool, priority, project_id, job_id FROM batch
 WHERE pool = :pool AND status = 'in_progress' AND shards_pending > 0
 ORDER BY priority DESC, project_id, job_id, turn, id LIMIT 1

-- name: activate_share
-- A newcomer, and who comes back, starts level with the least served; alone, with whoever was served most before.
INSERT INTO share (pool, priority, parent, name, turn, is_active, version)
VALUES (:pool, :priority, :parent, :name,
        COALESCE((SELECT MIN(turn) FROM share
                   WHERE pool = :pool AND priority = :priority AND parent = :parent AND is_active = 1),
                 (SELECT MAX(turn) FROM share
                   WHERE pool = :pool AND priority = :priority AND parent = :parent AND is_active = 0), 0),
        1, 1)
ON CONFLICT (pool, priority, parent, name) DO UPDATE
   SET turn = CASE WHEN share.is_active = 0 AND share.turn < excluded.turn THEN excluded.turn ELSE share.turn END,
       is_active = 1, version = share.version + 1

-- name: deactivate_share
-- Only while nobody has activated it since it was seen to be empty.
UPDATE share SET is_active = 0
 WHERE pool = :pool AND priority = :priority AND parent = :parent AND name = :name AND version = :version

-- name: charge_share
UPDATE share SET turn = turn + :work
 WHERE pool = :pool AND priority = :priority AND parent = :parent AND name = :name

-- name: claim_shard
-- It is charged for what it has used so far and what its other lines are expected to be.
UPDATE shard SET state = 'running', attempt = attempt + 1, worker_id = :worker_id, lease_expires_at = :until,
                 ticket = :ticket,
                 charged = input_tokens + output_tokens + (completed + failed) * :line_extra
                           + (line_count - completed - failed) * (SELECT line_work FROM batch WHERE id = :batch_id)
 WHERE batch_id = :batch_id AND state = 'pending'
   AND number = (SELECT number FROM shard WHERE batch_id = :batch_id AND state = 'pending'
                  ORDER BY number LIMIT 1 /* skip locked */)
RETURNING *

-- name: count_claim
-- The other half of claim_shard: the batch pays for what it was given. Zero rows: it was stopped meanwhile.
UPDATE batch SET shards_pending = shards_pending - 1, shards_running = shards_running + 1, turn = turn + :work
 WHERE id = :id AND status = 'in_progress' AND shards_pending > 0
RETURNING *, NULL AS live_completed, (SELECT allow FROM project WHERE project.id = batch.project_id) AS project_allow

-- name: find_ticket
-- What a call claimed whose answer was lost on the way.
SELECT * FROM shard WHERE state = 'running' AND worker_id = :worker_id AND ticket = :ticket

-- name: renew_shards
-- Every lease of a worker at once; the answer says which of them still have a reason to run.
UPDATE shard SET lease_expires_at = :until
 WHERE state = 'running' AND worker_id = :worker_id
RETURNING batch_id, number, attempt,
          (SELECT CASE WHEN status = 'in_progress' THEN 1 ELSE 0 END FROM batch WHERE batch.id = shard.batch_id) AS wanted

-- name: report_progress
-- Zero rows: the claim is lost.
UPDATE shard SET completed = :completed, failed = :failed, input_tokens = :input_tokens,
                 cached_tokens = :cached_tokens, output_tokens = :output_tokens, reasoning_tokens = :reasoning_tokens
 WHERE batch_id = :batch_id AND number = :number AND attempt = :attempt AND worker_id = :worker_id
   AND state = 'running'

-- name: finish_shard
UPDATE shard SET state = 'done', worker_id = NULL, lease_expires_at = NULL,
                 completed = :completed, failed = :failed, input_tokens = :input_tokens,
                 cached_tokens = :cached_tokens, output_tokens = :output_tokens, reasoning_tokens = :reasoning_tokens
 WHERE batch_id = :batch_id AND number = :number AND attempt = :attempt AND worker_id = :worker_id
   AND state = 'running'
RETURNING charged

-- name: count_finish
-- The last shard to finish starts the finalizing. The row's lock makes two last ones take turns.
UPDATE batch
   SET shards_running = shards_running - 1, turn = turn + :owed, line_work = (line_work + :line_work) / 2,
       duty_due_at = :now,
       status = CASE WHEN status = 'in_progress' AND shards_pending = 0 AND shards_running = 1
                     THEN 'finalizing' ELSE status END,
       finalizing_at = CASE WHEN status = 'in_progress' AND shards_pending = 0 AND shards_running = 1
                            THEN :now ELSE finalizing_at END,
       duty_lease_expires_at = CASE WHEN status = 'in_progress' AND shards_pending = 0 AND shards_running = 1
                                    THEN 0 ELSE duty_lease_expires_at END,
       duty = CASE WHEN status = 'in_progress' AND shards_pending = 0 AND shards_running = 1
                   THEN 'finalize' ELSE duty END
 WHERE id = :id
RETURNING status, pool, priority, project_id, job_id

-- name: release_shard
-- Given back unfinished by a worker that stops or was told to; what is journalled stays counted.
UPDATE shard SET state = 'pending', worker_id = NULL, lease_expires_at = NULL,
                 completed = :completed, failed = :failed, input_tokens = :input_tokens,
                 cached_tokens = :cached_tokens, output_tokens = :output_tokens, reasoning_tokens = :reasoning_tokens
 WHERE batch_id = :batch_id AND number = :number AND attempt = :attempt AND worker_id = :worker_id
   AND state = 'running'
RETURNING charged

-- name: count_release
UPDATE batch SET shards_pending = shards_pending + :shards, shards_running = shards_running - :shards, turn = turn + :owed
 WHERE id = :id
RETURNING status, pool, priority, project_id, job_id

-- name: find_late_shards
-- Leases that ran out: whoever held them is late, dead or cut off.
SELECT batch_id, number, charged, completed, failed, input_tokens, cached_tokens, output_tokens, reasoning_tokens FROM shard
 WHERE state = 'running' AND lease_expires_at <= :now ORDER BY lease_expires_at LIMIT 1000 /* skip locked */

-- name: reclaim_shard
UPDATE shard SET state = 'pending', worker_id = NULL, lease_expires_at = NULL
 WHERE batch_id = :batch_id AND number = :number AND state = 'running'

-- name: reclaim_of_worker
-- A worker that was seen to end.
UPDATE shard SET state = 'pending', worker_id = NULL, lease_expires_at = NULL
 WHERE state = 'running' AND worker_id = :worker_id
RETURNING batch_id, charged, completed, failed, input_tokens, cached_tokens, output_tokens, reasoning_tokens

-- name: reclaim_duty_of_worker
UPDATE batch SET duty_worker_id = NULL, duty_lease_expires_at = 0
 WHERE duty IS NOT NULL AND duty_worker_id = :worker_id

-- name: disown_shard
-- A claim that its own worker knows nothing of.
UPDATE shard SET state = 'pending', worker_id = NULL, lease_expires_at = NULL
 WHERE batch_id = :batch_id AND number = :number AND attempt = :attempt AND worker_id = :worker_id
   AND state = 'running'
RETURNING batch_id, charged, completed, failed, input_tokens, cached_tokens, output_tokens, reasoning_tokens

-- name: list_shards
-- In input order; a batch has a bounded number of them.
SELECT * FROM shard WHERE batch_id = :batch_id ORDER BY number

-- name: reopen_shard
UPDATE shard SET state = 'pending' WHERE batch_id = :batch_id AND number = :number AND state = 'done'

-- name: reopen_batch
-- Answers were lost with their journal parts; the shards that lack them wait again. Zero rows: the duty was lost.
UPDATE batch SET status = 'in_progress', finalizing_at = NULL, shards_pending = shards_pending + :shards,
                 duty = NULL, duty_worker_id = NULL, duty_lease_expires_at = NULL
 WHERE id = :id AND status = 'finalizing' AND duty_attempt = :attempt AND duty_worker_id = :worker_id
   AND has_expired = 0 AND errors IS NULL
RETURNING status, pool, priority, project_id, job_id

-- name: end_batch
-- The end of finalizing: which end it is depends on what happened meanwhile. Zero rows: the duty was lost.
UPDATE batch
   SET status = CASE WHEN status = 'cancelling' THEN 'cancelled' WHEN COALESCE(errors, CAST(:errors AS TEXT)) IS NOT NULL THEN 'failed'
                     WHEN has_expired = 1 THEN 'expired' ELSE 'completed' END,
       errors = COALESCE(errors, CAST(:errors AS TEXT)),
       failed_at = CASE WHEN status = 'finalizing' AND COALESCE(errors, CAST(:errors AS TEXT)) IS NOT NULL THEN :now ELSE failed_at END,
       cancelled_at = CASE WHEN status = 'cancelling' THEN :now ELSE cancelled_at END,
       expired_at = CASE WHEN status = 'finalizing' AND COALESCE(errors, CAST(:errors AS TEXT)) IS NULL AND has_expired = 1
                         THEN :now ELSE expired_at END,
       completed_at = CASE WHEN status = 'finalizing' AND COALESCE(errors, CAST(:errors AS TEXT)) IS NULL AND has_expired = 0
                           THEN :now ELSE completed_at END,
       output_file_id = :output_file_id, error_file_id = :error_file_id,
       completed = :completed, failed = :failed, input_tokens = :input_tokens, cached_tokens = :cached_tokens,
       output_tokens = :output_tokens, reasoning_tokens = :reasoning_tokens,
       shards_pending = 0, duty = NULL, duty_worker_id = NULL, duty_lease_expires_at = NULL
 WHERE id = :id AND duty = 'finalize' AND duty_attempt = :attempt AND duty_worker_id = :worker_id
   AND shards_running = 0 AND status IN ('finalizing', 'cancelling')
RETURNING status, project_id

-- name: delete_shards
DELETE FROM shard WHERE batch_id = :batch_id

-- name: see_worker
-- The answer is how many live.
INSERT INTO worker (id, host, pid, started_at, seen_at) VALUES (:id, :host, :pid, :now, :now)
ON CONFLICT (id) DO UPDATE SET seen_at = excluded.seen_at
RETURNING 1 + (SELECT COUNT(*) FROM worker AS other WHERE other.seen_at > :since AND other.id <> :id) AS workers

-- name: forget_worker
DELETE FROM worker WHERE id = :id

-- name: forget_late_workers
DELETE FROM worker WHERE seen_at <= :before

-- name: count_workers
SELECT COUNT(*) AS workers FROM worker WHERE seen_at > :since

-- name: find_worker_of_process
-- A process number is used again some day: the newest row is meant.
SELECT id FROM worker WHERE host = :host AND pid = :pid ORDER BY id DESC LIMIT 1

-- name: list_workers_of_host
-- Few: the silent ones are forgotten after an hour.
SELECT id, pid FROM worker WHERE host = :host ORDER BY id LIMIT 1000

-- name: insert_upload
INSERT INTO upload (id, project_id, status, purpose, filename, mime_type, bytes, created_at, expires_at,
                    expires_after_seconds)
VALUES (:id, :project_id, 'pending', :purpose, :filename, :mime_type, :bytes, :created_at, :expires_at,
        :expires_after_seconds)

-- name: get_upload
SELECT * FROM upload WHERE id = :id AND project_id = :project_id

-- name: move_upload
-- Only a pending upload moves; zero rows is a conflict.
UPDATE upload SET status = :status, file_id = :file_id
 WHERE id = :id AND project_id = :project_id AND status = 'pending'
RETURNING *

-- name: insert_upload_part
-- Only into a pending upload; zero rows is a conflict.
INSERT INTO upload_part (id, upload_id, bytes, blob, created_at)
SELECT :id, id, :bytes, :blob, :now FROM upload
 WHERE id = :upload_id AND project_id = :project_id AND status = 'pending' AND expires_at > :now /* for share */

-- name: list_upload_parts
SELECT * FROM upload_part WHERE upload_id = :upload_id ORDER BY id

-- name: list_stale_uploads
SELECT * FROM upload WHERE status = 'pending' AND expires_at <= :now ORDER BY expires_at LIMIT :limit

-- name: insert_job
INSERT INTO job (project_id, id, definition, created_at, updated_at)
VALUES (:project_id, :id, :definition, :now, :now) ON CONFLICT (project_id, id) DO NOTHING

-- name: update_job
UPDATE job SET definition = :definition, updated_at = :now WHERE project_id = :project_id AND id = :id

-- name: delete_job
-- Not while a live batch uses it.
DELETE FROM job
 WHERE project_id = :project_id AND id = :id
   AND NOT EXISTS (SELECT 1 FROM batch WHERE batch.project_id = :project_id AND batch.job_id = :id
                      AND batch.status IN ('validating', 'in_progress', 'finalizing', 'cancelling'))

-- name: find_job
SELECT * FROM job WHERE project_id = :project_id AND id = :id

-- name: list_jobs
-- The project's own and those that others share with it; of equal ids its own comes first, then the oldest.
SELECT * FROM (
    SELECT * FROM (SELECT * FROM job WHERE project_id = :project_id AND id > :after ORDER BY id LIMIT :limit) AS own
    UNION ALL
    SELECT * FROM (SELECT DISTINCT job.* FROM job_share
                     JOIN job ON job.project_id = job_share.project_id AND job.id = job_share.job_id
                    WHERE job_share.shared_with IN (:project_id, '*') AND job_share.job_id > :after
                      AND job_share.project_id <> :project_id
                    ORDER BY job.id, job.created_at LIMIT :limit) AS others) AS page
 ORDER BY id, CASE WHEN project_id = :project_id THEN 0 ELSE 1 END, created_at LIMIT :limit

-- name: insert_webhook
-- Zero rows: the project has as many as it may.
INSERT INTO webhook (id, project_id, url, secret, events, created_at)
SELECT :id, :project_id, :url, :secret, :events, :created_at
 WHERE (SELECT COUNT(*) FROM webhook WHERE project_id = :project_id) < :most

-- name: find_webhook
SELECT * FROM webhook WHERE id = :id

-- name: list_webhooks
-- A project has a bounded number of them.
SELECT * FROM webhook WHERE project_id = :project_id ORDER BY id

-- name: delete_webhook
DELETE FROM webhook WHERE id = :id AND project_id = :project_id

-- name: insert_errand
INSERT INTO errand (id, project_id, batch_id, kind, target, subject, state, created_at, due_at, log)
VALUES (:id, :project_id, :batch_id, :kind, :target, :subject, 'pending', :now, :now, '[]')

-- name: claim_errand
-- One that is due and that nobody holds, and none to the same target about the same batch before it.
UPDATE errand SET attempt = attempt + 1, lease_expires_at = :until
 WHERE id = (SELECT id FROM errand
              WHERE state = 'pending' AND due_at <= :now AND lease_expires_at <= :now
                AND NOT EXISTS (SELECT 1 FROM errand AS earlier
                                 WHERE earlier.batch_id = errand.batch_id AND earlier.id < errand.id
                                   AND earlier.target = errand.target AND earlier.kind = 'event' AND errand.kind = 'event'
                                   AND earlier.state = 'pending')
              ORDER BY due_at, id LIMIT 1 /* skip locked */)
RETURNING *

-- name: end_errand
-- Zero rows: somebody else has it by now.
UPDATE errand SET state = :state, ended_at = :now, log = :log WHERE id = :id AND attempt = :attempt AND state = 'pending'

-- name: postpone_errand
UPDATE errand SET due_at = :due_at, lease_expires_at = 0, log = :log
 WHERE id = :id AND attempt = :attempt AND state = 'pending'

-- name: list_errands_of_batch
SELECT * FROM errand WHERE batch_id = :batch_id ORDER BY id DESC LIMIT :limit

-- name: list_errands_of_target
SELECT * FROM errand WHERE target = :target AND id < :after ORDER BY id DESC LIMIT :limit

-- name: forget_errands_to
-- A webhook that is gone is told nothing more.
DELETE FROM errand WHERE target = :target

-- name: forget_errands
DELETE FROM errand WHERE ended_at <= :before

-- name: count_errands
-- Those that are owed, for the metrics.
SELECT kind, COUNT(*) AS errands FROM errand WHERE state = 'pending' GROUP BY kind

-- name: find_ended_batch
-- What its end says to others.
SELECT id, project_id, status, job FROM batch WHERE id = :id

-- name: find_region
SELECT region FROM bucket_region WHERE bucket = :bucket

-- name: remember_region
INSERT INTO bucket_region (bucket, region) VALUES (:bucket, :region)
ON CONFLICT (bucket) DO UPDATE SET region = excluded.region

-- name: claim_chore
-- One process gets a chore that is due; nobody else before it is due again.
INSERT INTO chore (name, due_at) VALUES (:name, :next)
ON CONFLICT (name) DO UPDATE SET due_at = excluded.due_at WHERE chore.due_at <= :now
RETURNING name

-- name: find_any_file
-- For the reaper: whether any file still owns these bytes, whatever its project.
SELECT id FROM file WHERE id = :id

-- name: find_batch_status
SELECT status FROM batch WHERE id = :id

-- name: find_clock
-- Of a database without a clock of its own.
SELECT * FROM machine_clock

-- name: forget_clocks
DELETE FROM machine_clock WHERE boot <> :boot

-- name: set_clock
INSERT INTO machine_clock (boot, difference, set_at) VALUES (:boot, :difference, :set_at)
ON CONFLICT (boot) DO UPDATE SET difference = excluded.difference, set_at = excluded.set_at

-- name: count_shards
-- For metrics: one pass without a sort. Shards go when their batch ends, so there are thousands, not millions.
SELECT COALESCE(SUM(CASE WHEN state = 'pending' THEN 1 ELSE 0 END), 0) AS pending,
       COALESCE(SUM(CASE WHEN state = 'running' THEN 1 ELSE 0 END), 0) AS running,
       COALESCE(SUM(CASE WHEN state = 'done' THEN 1 ELSE 0 END), 0) AS done,
       COALESCE(SUM(line_count - completed - failed), 0) AS lines_left
  FROM shard

-- name: count_backlog
-- By the counts of batches that have not ended, not by their shards.
SELECT pool, SUM(CASE WHEN status = 'validating' THEN 1 ELSE shards_pending + shards_running END) AS shards FROM batch
 WHERE status IN ('validating', 'in_progress') GROUP BY pool

-- name: find_oldest_with_shards
SELECT MIN(in_progress_at) AS in_progress_at FROM batch WHERE status = 'in_progress' AND shards_pending > 0

-- name: search_batches
-- For people: newest first, with the name of the input file. Texts are patterns for LIKE in lower case; null means any.
WITH page AS MATERIALIZED (
    SELECT batch.*, file.filename FROM batch LEFT JOIN file ON file.id = batch.input_file_id
     WHERE batch.project_id = :project_id AND batch.id < :after AND batch.id >= :since
       AND (CAST(:status AS TEXT) IS NULL OR batch.status = CAST(:status AS TEXT))
       AND (CAST(:job_id AS TEXT) IS NULL OR batch.job_id = CAST(:job_id AS TEXT))
       AND (CAST(:text AS TEXT) IS NULL OR LOWER(batch.id) LIKE CAST(:text AS TEXT) ESCAPE '!'
            OR LOWER(batch.job_id) LIKE CAST(:text AS TEXT) ESCAPE '!'
            OR LOWER(COALESCE(batch.model, '')) LIKE CAST(:text AS TEXT) ESCAPE '!'
            OR LOWER(COALESCE(batch.metadata, '')) LIKE CAST(:text AS TEXT) ESCAPE '!'
            OR LOWER(COALESCE(file.filename, '')) LIKE CAST(:text AS TEXT) ESCAPE '!')
     ORDER BY batch.id DESC LIMIT :limit)
{{with_counts}}

-- name: sum_batches
-- What batches created in a span did, by steps of time and by job; those that run count as far as they are journalled.
WITH page AS MATERIALIZED (
    SELECT * FROM batch WHERE project_id = :project_id AND id >= :since AND id < :until),
live AS MATERIALIZED (
    SELECT batch_id, SUM(completed) AS completed, SUM(failed) AS failed, SUM(input_tokens) AS input_tokens,
           SUM(cached_tokens) AS cached_tokens, SUM(output_tokens) AS output_tokens,
           SUM(reasoning_tokens) AS reasoning_tokens
      FROM shard WHERE batch_id IN (SELECT id FROM page) GROUP BY batch_id)
SELECT page.created_at / :step AS step, page.job_id, MAX(page.job) AS job, COUNT(*) AS batches,
       CAST(SUM(page.total) AS BIGINT) AS total,
       CAST(SUM(COALESCE(live.completed, page.completed)) AS BIGINT) AS completed,
       CAST(SUM(COALESCE(live.failed, page.failed)) AS BIGINT) AS failed,
       CAST(SUM(COALESCE(live.input_tokens, page.input_tokens)) AS BIGINT) AS input_tokens,
       CAST(SUM(COALESCE(live.cached_tokens, page.cached_tokens)) AS BIGINT) AS cached_tokens,
       CAST(SUM(COALESCE(live.output_tokens, page.output_tokens)) AS BIGINT) AS output_tokens,
       CAST(SUM(COALESCE(live.reasoning_tokens, page.reasoning_tokens)) AS BIGINT) AS reasoning_tokens
  FROM page LEFT JOIN live ON live.batch_id = page.id
 GROUP BY page.created_at / :step, page.job_id, page.job ORDER BY 1

-- name: insert_project
INSERT INTO project (id, name, created_at, limits, allow) VALUES (:id, :name, :created_at, :limits, :allow)
ON CONFLICT DO NOTHING

-- name: update_project
-- Null leaves a member as it is. Zero rows: there is none, or another has the name.
UPDATE project SET name = COALESCE(CAST(:name AS TEXT), name), limits = COALESCE(CAST(:limits AS TEXT), limits),
                   allow = COALESCE(CAST(:allow AS TEXT), allow)
 WHERE id = :id AND NOT EXISTS (SELECT 1 FROM project AS other WHERE other.name = CAST(:name AS TEXT) AND other.id <> :id)
RETURNING *

-- name: find_project
SELECT * FROM project WHERE id = :id

-- name: find_project_by_name
SELECT * FROM project WHERE name = :name

-- name: list_projects
SELECT * FROM project WHERE id > :after ORDER BY id LIMIT :limit

-- name: lock_project
-- Those who add to what a project uses take turns where it has a limit.
SELECT id FROM project WHERE id = :id /* for update */

-- name: insert_api_key
-- Zero rows: there is no such project.
INSERT INTO api_key (id, project_id, name, prefix, hash, scopes, created_at, expires_at)
SELECT :id, id, :name, :prefix, :hash, :scopes, :created_at, :expires_at FROM project WHERE id = :project_id

-- name: find_api_key
-- A request's key with its project's limits; every request asks, so what is revoked opens nothing from then on.
SELECT api_key.*, project.limits FROM api_key JOIN project ON project.id = api_key.project_id WHERE hash = :hash

-- name: find_any_api_key
-- Whether there has ever been a key.
SELECT 1 AS one FROM api_key LIMIT 1

-- name: get_api_key
SELECT * FROM api_key WHERE id = :id AND (CAST(:project_id AS TEXT) IS NULL OR project_id = CAST(:project_id AS TEXT))

-- name: list_api_keys
-- Newest first; ids sort by age.
SELECT * FROM api_key WHERE id < :after ORDER BY id DESC LIMIT :limit

-- name: list_api_keys_of_project
SELECT * FROM api_key WHERE project_id = :project_id AND id < :after ORDER BY id DESC LIMIT :limit

-- name: revoke_api_key
-- Once and for all: a second time changes nothing.
UPDATE api_key SET revoked_at = COALESCE(revoked_at, :now)
 WHERE id = :id AND (CAST(:project_id AS TEXT) IS NULL OR project_id = CAST(:project_id AS TEXT))
RETURNING *

-- name: touch_api_key
-- Not at every use: the time of the last one is kept to the minute.
UPDATE api_key SET last_used_at = :now WHERE id = :id AND (last_used_at IS NULL OR last_used_at <= :now - 60)

-- name: insert_event
INSERT INTO audit_event (id, project_id, key_id, action, object_id, address, at)
VALUES (:id, :project_id, :key_id, :action, :object_id, :address, :at)

-- name: list_events
-- Newest first; ids sort by age.
SELECT * FROM audit_event
 WHERE id < :after AND (CAST(:action AS TEXT) IS NULL OR action = CAST(:action AS TEXT)) ORDER BY id DESC LIMIT :limit

-- name: list_events_of_project
SELECT * FROM audit_event
 WHERE project_id = :project_id AND id < :after AND (CAST(:action AS TEXT) IS NULL OR action = CAST(:action AS TEXT))
 ORDER BY id DESC LIMIT :limit

-- name: forget_events
DELETE FROM audit_event WHERE at <= :before

-- name: sum_stored_bytes
-- Files, and what uploads in parts have announced, or hold where that is more.
SELECT COALESCE((SELECT SUM(bytes) FROM file
                  WHERE project_id = :project_id AND (expires_at IS NULL OR expires_at > :now)), 0)
       + COALESCE((SELECT SUM(CASE WHEN held > announced THEN held ELSE announced END)
                     FROM (SELECT bytes AS announced, (SELECT COALESCE(SUM(bytes), 0) FROM upload_part
                                                        WHERE upload_id = upload.id) AS held
                             FROM upload
                            WHERE project_id = :project_id AND status = 'pending' AND expires_at > :now) AS pending), 0)
       AS used

-- name: count_live_batches
-- Those that hold a place: not what failed, ended or is being cancelled.
SELECT COUNT(*) AS used FROM batch
 WHERE project_id = :project_id AND status IN ('validating', 'in_progress', 'finalizing')

-- name: count_queued_requests
-- Request lines that wait for their result.
SELECT COALESCE(SUM(line_count - completed - failed), 0) AS used FROM shard
 WHERE batch_id IN (SELECT id FROM batch WHERE project_id = :project_id AND status = 'in_progress')

-- name: count_tokens
-- Tokens of a day: those of batches that ended on it and of requests answered at once; running batches count as of now.
SELECT COALESCE((SELECT tokens FROM tokens_of_day WHERE project_id = :project_id AND day = :day), 0)
       + COALESCE((SELECT SUM(input_tokens + output_tokens) FROM shard
                    WHERE batch_id IN (SELECT id FROM batch WHERE project_id = :project_id
                                          AND status IN ('in_progress', 'finalizing', 'cancelling'))), 0) AS used

-- name: add_tokens
INSERT INTO tokens_of_day (project_id, day, tokens) VALUES (:project_id, :day, :tokens)
ON CONFLICT (project_id, day) DO UPDATE SET tokens = tokens_of_day.tokens + excluded.tokens

-- name: forget_tokens
DELETE FROM tokens_of_day WHERE day < :before

-- name: add_job_share
INSERT INTO job_share (shared_with, job_id, project_id) VALUES (:shared_with, :job_id, :project_id) ON CONFLICT DO NOTHING

-- name: drop_job_shares
DELETE FROM job_share WHERE project_id = :project_id AND job_id = :job_id

-- name: find_shared_job
-- Of several that others share under one id, the oldest.
SELECT job.* FROM job_share JOIN job ON job.project_id = job_share.project_id AND job.id = job_share.job_id
 WHERE job_share.shared_with IN (:project_id, '*') AND job_share.job_id = :id AND job_share.project_id <> :project_id
 ORDER BY job.created_at, job.project_id LIMIT 1

-- name: put_mark
INSERT INTO line_mark (batch_id, line, project_id, mark, made_at) VALUES (:batch_id, :line, :project_id, :mark, :now)
ON CONFLICT (batch_id, line) DO UPDATE SET mark = excluded.mark, made_at = excluded.made_at

-- name: delete_mark
DELETE FROM line_mark WHERE batch_id = :batch_id AND line = :line AND project_id = :project_id

-- name: list_marks
SELECT line, mark FROM line_mark WHERE batch_id = :batch_id AND project_id = :project_id ORDER BY line

-- name: list_views
-- Few: names that people gave to addresses.
SELECT name, address FROM saved_view WHERE project_id = :project_id ORDER BY name LIMIT 200

-- name: put_view
INSERT INTO saved_view (project_id, name, address, made_at) VALUES (:project_id, :name, :address, :now)
ON CONFLICT (project_id, name) DO UPDATE SET address = excluded.address, made_at = excluded.made_at

-- name: delete_view
DELETE FROM saved_view WHERE project_id = :project_id AND name = :name

-- name: find_result_file
-- Whether a batch still has a result file.
SELECT file.id FROM batch JOIN file ON file.id IN (batch.output_file_id, batch.error_file_id) WHERE batch.id = :id LIMIT 1
