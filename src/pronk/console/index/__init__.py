"""The index of a batch's lines: made when somebody looks, so that filters, counts and pages need no reading of files."""
