-- What a project may read at all: JSON of a list of globs, null for everything.
ALTER TABLE project ADD COLUMN allow TEXT NOT NULL DEFAULT 'null';
