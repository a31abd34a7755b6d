"""Results as tables: result lines beside their request lines, JSON answers as typed columns."""
