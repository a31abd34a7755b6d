"""A batch as OpenAI shows it, with its job and its cost."""

from __future__ import annotations

from pronk.api import schemas
from pronk.domain.batch import Batch
from pronk.domain.usage import Usage


def to_wire(batch: Batch) -> schemas.Batch:
    """Return a batch with every member present, null where the event has not happened."""
    counts, price = batch.counts, batch.job.price
    return schemas.Batch(
        id=batch.id,
        endpoint=batch.endpoint,
        model=batch.model or batch.job.model,
        errors=_errors(batch),
        input_file_id=batch.input_file_id,
        completion_window=batch.completion_window,
        status=batch.status,
        output_file_id=batch.output_file_id,
        error_file_id=batch.error_file_id,
        created_at=batch.created_at,
        in_progress_at=batch.in_progress_at,
        expires_at=batch.expires_at,
        finalizing_at=batch.finalizing_at,
        completed_at=batch.completed_at,
        failed_at=batch.failed_at,
        expired_at=batch.expired_at,
        cancelling_at=batch.cancelling_at,
        cancelled_at=batch.cancelled_at,
        request_counts=schemas.RequestCounts(
            total=counts.total, completed=counts.completed, failed=counts.failed
        ),
        usage=_usage(batch.usage),
        metadata=batch.metadata,
        job_id=batch.job.id,
        processing_cost=round(price.cost(batch.usage), 9) if price else None,
    )


def _errors(batch: Batch) -> schemas.BatchErrors | None:
    if not batch.errors:
        return None
    found = [
        schemas.LineError(code=error.code, message=error.message, param=error.param, line=error.line)
        for error in batch.errors
    ]
    return schemas.BatchErrors(data=found)


def _usage(usage: Usage) -> schemas.Usage:
    return schemas.Usage(
        input_tokens=usage.input_tokens,
        input_tokens_details=schemas.InputDetails(cached_tokens=usage.cached_tokens),
        output_tokens=usage.output_tokens,
        output_tokens_details=schemas.OutputDetails(reasoning_tokens=usage.reasoning_tokens),
        total_tokens=usage.total_tokens,
    )
