-- Only asked while nobody is active. A share that is charged need not be moved in it.
DROP INDEX share_by_past;
CREATE INDEX share_by_past ON share (pool, priority, parent, turn) WHERE is_active = 0;
