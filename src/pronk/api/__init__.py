"""The HTTP contract: OpenAI's files, uploads, batches and models, and pronk's jobs."""
