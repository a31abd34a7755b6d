-- Everything belongs to a project; there is no row per request.
CREATE TABLE project (
    id TEXT PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    created_at BIGINT NOT NULL,
    limits TEXT NOT NULL DEFAULT '{}'
);

-- Keys are never deleted, so that a server that has once had a key goes on asking for one.
CREATE TABLE api_key (
    id TEXT PRIMARY KEY,
    project_id TEXT NOT NULL REFERENCES project (id),
    name TEXT NOT NULL,
    prefix TEXT NOT NULL,
    hash TEXT NOT NULL UNIQUE,
    scopes TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    expires_at BIGINT,
    last_used_at BIGINT,
    revoked_at BIGINT
);
CREATE INDEX api_key_by_project ON api_key (project_id, id);

-- Who did what.
CREATE TABLE audit_event (
    id TEXT PRIMARY KEY,
    project_id TEXT NOT NULL,
    key_id TEXT,
    action TEXT NOT NULL,
    object_id TEXT NOT NULL,
    address TEXT NOT NULL,
    at BIGINT NOT NULL
);
CREATE INDEX audit_event_by_project ON audit_event (project_id, id);
CREATE INDEX audit_event_by_age ON audit_event (at);

-- Tokens of batches that ended on a day and of requests answered at once. `day` counts from 1970.
CREATE TABLE tokens_of_day (
    project_id TEXT NOT NULL REFERENCES project (id),
    day BIGINT NOT NULL,
    tokens BIGINT NOT NULL,
    PRIMARY KEY (project_id, day)
);

CREATE TABLE file (
    id TEXT PRIMARY KEY,
    project_id TEXT NOT NULL REFERENCES project (id),
    purpose TEXT NOT NULL,
    filename TEXT NOT NULL,
    bytes BIGINT NOT NULL,
    blob TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    expires_at BIGINT,
    sha256 TEXT
);
CREATE INDEX file_by_project ON file (project_id, id);
CREATE INDEX file_by_purpose ON file (project_id, purpose, id);
CREATE INDEX file_by_size ON file (project_id, expires_at, bytes);
CREATE INDEX file_by_expiry ON file (expires_at) WHERE expires_at IS NOT NULL;

CREATE TABLE upload (
    id TEXT PRIMARY KEY,
    project_id TEXT NOT NULL REFERENCES project (id),
    status TEXT NOT NULL,
    purpose TEXT NOT NULL,
    filename TEXT NOT NULL,
    mime_type TEXT NOT NULL,
    bytes BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    expires_after_seconds BIGINT,
    file_id TEXT
);
CREATE INDEX upload_by_project ON upload (project_id, expires_at) WHERE status = 'pending';
CREATE INDEX upload_by_expiry ON upload (expires_at) WHERE status = 'pending';

CREATE TABLE upload_part (
    id TEXT PRIMARY KEY,
    upload_id TEXT NOT NULL REFERENCES upload (id) ON DELETE CASCADE,
    bytes BIGINT NOT NULL,
    blob TEXT NOT NULL,
    created_at BIGINT NOT NULL
);
CREATE INDEX upload_part_by_upload ON upload_part (upload_id);

-- Jobs made over HTTP; those of the settings file are never stored.
CREATE TABLE job (
    project_id TEXT NOT NULL REFERENCES project (id),
    id TEXT NOT NULL,
    definition TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    PRIMARY KEY (project_id, id)
);

-- Projects beside its own that may use a job; '*' is all of them.
CREATE TABLE job_share (
    shared_with TEXT NOT NULL,
    job_id TEXT NOT NULL,
    project_id TEXT NOT NULL,
    PRIMARY KEY (shared_with, job_id, project_id),
    FOREIGN KEY (project_id, job_id) REFERENCES job (project_id, id) ON DELETE CASCADE
);
CREATE INDEX job_share_by_job ON job_share (project_id, job_id);

-- Legal moves between statuses, filled from the program's own table at every opening.
CREATE TABLE batch_move (
    from_status TEXT NOT NULL,
    to_status TEXT NOT NULL,
    PRIMARY KEY (from_status, to_status)
);

-- `pool` is the engine pool its requests go to. `turn` is the work that it was given so far and `line_work` what a line of
-- it is expected to be, both in tokens. From `urgent_at` on it is urgent: its deadline counts.
-- `duty` is work on the whole batch (intake or finalize), leased like a shard; the one that is due first is done first.
CREATE TABLE batch (
    id TEXT PRIMARY KEY,
    project_id TEXT NOT NULL REFERENCES project (id),
    job_id TEXT NOT NULL,
    job TEXT NOT NULL,
    pool TEXT NOT NULL,
    priority BIGINT NOT NULL DEFAULT 0,
    turn BIGINT NOT NULL DEFAULT 0,
    line_work BIGINT NOT NULL DEFAULT 1000,
    urgent_at BIGINT,
    is_urgent BIGINT NOT NULL DEFAULT 0,
    status TEXT NOT NULL,
    endpoint TEXT NOT NULL,
    model TEXT,
    input_file_id TEXT NOT NULL,
    output_file_id TEXT,
    error_file_id TEXT,
    output_expires_after_seconds BIGINT,
    completion_window TEXT NOT NULL,
    metadata TEXT,
    traceparent TEXT,
    errors TEXT,
    created_at BIGINT NOT NULL,
    expires_at BIGINT,
    in_progress_at BIGINT,
    finalizing_at BIGINT,
    completed_at BIGINT,
    failed_at BIGINT,
    expired_at BIGINT,
    cancelling_at BIGINT,
    cancelled_at BIGINT,
    has_expired BIGINT NOT NULL DEFAULT 0,
    total BIGINT NOT NULL DEFAULT 0,
    completed BIGINT NOT NULL DEFAULT 0,
    failed BIGINT NOT NULL DEFAULT 0,
    input_tokens BIGINT NOT NULL DEFAULT 0,
    cached_tokens BIGINT NOT NULL DEFAULT 0,
    output_tokens BIGINT NOT NULL DEFAULT 0,
    reasoning_tokens BIGINT NOT NULL DEFAULT 0,
    shards_pending BIGINT NOT NULL DEFAULT 0,
    shards_running BIGINT NOT NULL DEFAULT 0,
    duty TEXT,
    duty_due_at DOUBLE PRECISION,
    duty_attempt BIGINT NOT NULL DEFAULT 0,
    duty_worker_id TEXT,
    duty_lease_expires_at DOUBLE PRECISION,
    CHECK (shards_pending >= 0 AND shards_running >= 0)
);
CREATE INDEX batch_by_project ON batch (project_id, id);
CREATE INDEX batch_by_status ON batch (project_id, status, id);
CREATE INDEX batch_by_job ON batch (project_id, job_id, id);
CREATE INDEX batch_by_input ON batch (input_file_id);
CREATE INDEX batch_live ON batch (status) WHERE status IN ('validating', 'in_progress', 'finalizing', 'cancelling');
CREATE INDEX batch_to_claim ON batch (pool, priority DESC, project_id, job_id, turn, id)
    WHERE status = 'in_progress' AND shards_pending > 0;
CREATE INDEX batch_urgent ON batch (pool, priority DESC, expires_at, id)
    WHERE status = 'in_progress' AND shards_pending > 0 AND is_urgent = 1;
CREATE INDEX batch_on_duty ON batch (duty_due_at, id) WHERE duty IS NOT NULL;
CREATE INDEX batch_by_duty_worker ON batch (duty_worker_id) WHERE duty IS NOT NULL;
CREATE INDEX batch_by_deadline ON batch (expires_at) WHERE status = 'in_progress';
CREATE INDEX batch_by_urgency ON batch (urgent_at) WHERE status = 'in_progress';

-- Who has had how much of a pool, at each priority: projects (parent '') and, below each, its jobs. `is_active` may stay
-- on a while after the last batch that could be claimed; `version` counts how often it was put on.
CREATE TABLE share (
    pool TEXT NOT NULL,
    priority BIGINT NOT NULL,
    parent TEXT NOT NULL,
    name TEXT NOT NULL,
    turn BIGINT NOT NULL,
    is_active BIGINT NOT NULL,
    version BIGINT NOT NULL,
    PRIMARY KEY (pool, priority, parent, name)
);
CREATE INDEX share_by_turn ON share (pool, priority, parent, turn, name) WHERE is_active = 1;
CREATE INDEX share_by_past ON share (pool, priority, parent, turn);

-- `charged` is the work its batch was charged for it when it was claimed, `ticket` the mark of the call that claimed it.
CREATE TABLE shard (
    batch_id TEXT NOT NULL REFERENCES batch (id) ON DELETE CASCADE,
    number BIGINT NOT NULL,
    state TEXT NOT NULL,
    first_line BIGINT NOT NULL,
    line_count BIGINT NOT NULL,
    byte_start BIGINT NOT NULL,
    byte_count BIGINT NOT NULL,
    checksum TEXT NOT NULL DEFAULT '',
    attempt BIGINT NOT NULL DEFAULT 0,
    worker_id TEXT,
    lease_expires_at DOUBLE PRECISION,
    completed BIGINT NOT NULL DEFAULT 0,
    failed BIGINT NOT NULL DEFAULT 0,
    input_tokens BIGINT NOT NULL DEFAULT 0,
    cached_tokens BIGINT NOT NULL DEFAULT 0,
    output_tokens BIGINT NOT NULL DEFAULT 0,
    reasoning_tokens BIGINT NOT NULL DEFAULT 0,
    charged BIGINT NOT NULL DEFAULT 0,
    ticket TEXT,
    PRIMARY KEY (batch_id, number)
);
CREATE INDEX shard_pending ON shard (batch_id, number) WHERE state = 'pending';
CREATE INDEX shard_running ON shard (lease_expires_at) WHERE state = 'running';
CREATE INDEX shard_by_worker ON shard (worker_id, batch_id, number) WHERE state = 'running';

-- A create that may be sent again: the same key gives the same batch while the row lives.
CREATE TABLE idempotency (
    project_id TEXT NOT NULL REFERENCES project (id),
    key TEXT NOT NULL,
    fingerprint TEXT NOT NULL,
    batch_id TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    PRIMARY KEY (project_id, key)
);
CREATE INDEX idempotency_by_age ON idempotency (created_at);

-- Who is told of a project's batches; `events` is a JSON list of types.
CREATE TABLE webhook (
    id TEXT PRIMARY KEY,
    project_id TEXT NOT NULL REFERENCES project (id),
    url TEXT NOT NULL,
    secret TEXT NOT NULL,
    events TEXT NOT NULL,
    created_at BIGINT NOT NULL
);
CREATE INDEX webhook_by_project ON webhook (project_id, id);

-- What is owed since a batch has ended: an event to a webhook, or a copy of a file to a folder. `log` is a JSON list of tries.
CREATE TABLE errand (
    id TEXT PRIMARY KEY,
    project_id TEXT NOT NULL REFERENCES project (id),
    batch_id TEXT NOT NULL,
    kind TEXT NOT NULL,
    target TEXT NOT NULL,
    subject TEXT NOT NULL,
    state TEXT NOT NULL,
    attempt BIGINT NOT NULL DEFAULT 0,
    created_at BIGINT NOT NULL,
    due_at DOUBLE PRECISION NOT NULL,
    lease_expires_at DOUBLE PRECISION NOT NULL DEFAULT 0,
    ended_at BIGINT,
    log TEXT NOT NULL
);
CREATE INDEX errand_due ON errand (due_at, id) WHERE state = 'pending';
CREATE INDEX errand_by_batch ON errand (batch_id, id);
CREATE INDEX errand_by_target ON errand (target, id);
CREATE INDEX errand_by_end ON errand (ended_at) WHERE ended_at IS NOT NULL;

-- Where buckets were found to live, so that a restart need not ask again.
CREATE TABLE bucket_region (
    bucket TEXT PRIMARY KEY,
    region TEXT NOT NULL
);

CREATE TABLE worker (
    id TEXT PRIMARY KEY,
    host TEXT NOT NULL,
    pid BIGINT NOT NULL,
    started_at BIGINT NOT NULL,
    seen_at DOUBLE PRECISION NOT NULL
);
CREATE INDEX worker_by_process ON worker (host, pid, id);

-- The time of a database that has none of its own: Unix time less the steady time of the machine since `boot`.
CREATE TABLE machine_clock (
    boot TEXT PRIMARY KEY,
    difference DOUBLE PRECISION NOT NULL,
    set_at DOUBLE PRECISION NOT NULL
);

-- Housekeeping that one process does for all: when each kind is due next.
CREATE TABLE chore (
    name TEXT PRIMARY KEY,
    due_at DOUBLE PRECISION NOT NULL
);

-- What people mark lines of a batch with when they look at its results.
CREATE TABLE line_mark (
    batch_id TEXT NOT NULL REFERENCES batch (id) ON DELETE CASCADE,
    line BIGINT NOT NULL,
    project_id TEXT NOT NULL REFERENCES project (id),
    mark TEXT NOT NULL,
    made_at BIGINT NOT NULL,
    PRIMARY KEY (batch_id, line)
);

-- Addresses of the console that people gave a name.
CREATE TABLE saved_view (
    project_id TEXT NOT NULL REFERENCES project (id),
    name TEXT NOT NULL,
    address TEXT NOT NULL,
    made_at BIGINT NOT NULL,
    PRIMARY KEY (project_id, name)
);
